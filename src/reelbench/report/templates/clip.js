// The page of a clip: one instant ("now") is shown everywhere at once: on the video, over it, on the timeline and in the transcript.
(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("data").textContent);
  var video = document.getElementById("video"), over = document.getElementById("over");
  var stage = document.getElementById("stage"), ruler = document.getElementById("ruler");
  var lanes = document.getElementById("lanes"), playhead = document.getElementById("playhead");
  var caption = document.getElementById("caption"), clock = document.getElementById("clock");
  var said = document.getElementById("said"), list = document.getElementById("now");
  var shown = data.lanes.map(function () { return true; });
  var marks = data.events.map(function () { return []; });
  var SVG = "http://www.w3.org/2000/svg", PIXELS_A_SECOND = 6, now = 0, wanted = null, chips = null;

  document.querySelectorAll("[data-event]").forEach(function (mark) { marks[+mark.dataset.event].push(mark); });

  // ---- time -------------------------------------------------------------------------------------------------------------
  function seek(seconds) {
    now = Math.min(Math.max(0, Math.round(seconds * 1000) / 1000), data.duration);
    wanted = now;
    // Until the video's metadata is there, it cannot be sent anywhere; where it never comes, the page goes on without it.
    if (video && video.readyState > 0) send();
    draw();
  }

  // Half a millisecond on: times here are rounded, and the frame that begins then is meant, not the one before it.
  function send() { video.currentTime = wanted + 0.0005; }

  if (video) {
    video.addEventListener("loadedmetadata", function () { if (wanted !== null) send(); });
    ["seeked", "timeupdate", "pause"].forEach(function (name) { video.addEventListener(name, follow); });
    video.addEventListener("play", tick);
    video.addEventListener("error", function () { document.getElementById("no-video").hidden = false; });
    if (video.error) document.getElementById("no-video").hidden = false;
  }
  function follow() {
    if (video.seeking) return;
    var at = video.currentTime;
    if (wanted !== null && Math.abs(at - wanted) < 0.002) return;  // it is where it was sent
    wanted = null;
    now = Math.min(at, data.duration);
    draw();
  }
  function tick() {
    follow();
    if (!video.paused && !video.ended) window.requestAnimationFrame(tick);
  }

  // ---- what holds at an instant -----------------------------------------------------------------------------------------
  function covers(event) {
    return event.start <= now && (now < event.end || (event.start === event.end && now === event.end));
  }
  // As reelbench.results.Event.box_at: straight lines between key frames, held before the first and after the last.
  function boxAt(event) {
    var keys = event.keys, after = 0;
    if (!keys.length) return event.box.concat(event.score);
    while (after < keys.length && keys[after][0] <= now) after += 1;
    if (after === 0) return keys[0].slice(1);
    if (after === keys.length) return keys[after - 1].slice(1);
    var a = keys[after - 1], b = keys[after], w = (now - a[0]) / (b[0] - a[0]);
    return a.slice(1).map(function (value, at) { return value + w * (b[at + 1] - value); });
  }

  function draw() {
    var current = [], boxes = 0, spoken = "", live = [];
    data.events.forEach(function (event, at) {
      var on = covers(event);
      marks[at].forEach(function (mark) {
        if (mark.classList.contains("now") === on) return;
        mark.classList.toggle("now", on);
        if (on) mark.setAttribute("aria-current", "true"); else mark.removeAttribute("aria-current");
        if (on && mark.classList.contains("word")) reveal(mark);
      });
      if (!on) return;
      if (event.box) { if (shown[event.lane]) current.push(event); }
      else if (event.lane === data.speech) { if (event.text && shown[event.lane]) spoken = event.text; }
      else if (shown[event.lane]) live.push(at);
    });
    over.replaceChildren();
    var unit = data.size[0] / (over.clientWidth || data.size[0]), taken = [];
    current.forEach(function (event) { boxes += 1; over.appendChild(box(event, unit, taken)); });
    caption.hidden = !spoken;
    caption.textContent = spoken;
    clock.textContent = now.toFixed(2) + " s";
    document.getElementById("counts").textContent = boxes ? "· " + boxes + (boxes === 1 ? " box" : " boxes") : "";
    ruler.setAttribute("aria-valuenow", now.toFixed(2));
    ruler.setAttribute("aria-valuetext", now.toFixed(2) + " seconds");
    place();
    tell(live);
  }

  function element(name, attributes) {
    var made = document.createElementNS(SVG, name);
    Object.keys(attributes).forEach(function (key) { made.setAttribute(key, attributes[key]); });
    return made;
  }
  function box(event, unit, taken) {
    var b = boxAt(event), size = 13 * unit, group = element("g", {"class": "seen", "data-name": event.name});
    var place = {x: b[0], y: b[1], width: b[2] - b[0], height: b[3] - b[1]};
    group.appendChild(element("rect", Object.assign({"class": "halo"}, place)));
    group.appendChild(element("rect", Object.assign({"class": "edge", stroke: data.lanes[event.lane].colour}, place)));
    var words = event.name.length > 28 ? event.name.slice(0, 27) + "…" : event.name;
    var label = element("text", {"font-size": size, "stroke-width": size / 4});
    label.textContent = words + " " + b[4].toFixed(2);
    // Above the box, else inside it; a step down for each label that lies there already.
    var long = label.textContent.length * size * 0.62;
    var x = Math.max(2 * unit, Math.min(b[0] + 3 * unit, data.size[0] - long));
    var y = b[1] > size * 1.3 ? b[1] - 4 * unit : b[1] + size * 1.1;
    for (var tries = 0; tries < 8 && taken.some(function (t) {
      return Math.abs(t.y - y) < size * 1.05 && x < t.end && t.x < x + long;
    }); tries += 1) y += size * 1.1;
    taken.push({x: x, end: x + long, y: y});
    label.setAttribute("x", x);
    label.setAttribute("y", Math.min(y, data.size[1] - 3 * unit));
    group.appendChild(label);
    return group;
  }

  function tell(live) {
    if (chips === live.join()) return;
    chips = live.join();
    list.replaceChildren();
    if (!live.length) {
      var none = document.createElement("li");
      none.className = "empty";
      none.textContent = "Nothing but what is on the picture.";
      list.appendChild(none);
    }
    live.forEach(function (at) {
      var event = data.events[at], item = document.createElement("li"), who = document.createElement("small");
      var swatch = element("svg", {width: 10, height: 10, "aria-hidden": "true"}), text = document.createElement("span");
      swatch.appendChild(element("rect", {width: 10, height: 10, rx: 2, fill: data.lanes[event.lane].colour}));
      item.className = "chip";
      text.textContent = event.name;
      who.textContent = data.lanes[event.lane].name;
      item.append(swatch, text, who);
      list.appendChild(item);
    });
  }

  // Within its own panel only: the page itself must not jump while the video plays.
  function reveal(word) {
    var line = word.closest("p");
    if (line.offsetTop < said.scrollTop || line.offsetTop + line.offsetHeight > said.scrollTop + said.clientHeight)
      said.scrollTop = line.offsetTop - said.clientHeight / 3;
  }

  // ---- the timeline -----------------------------------------------------------------------------------------------------
  function place() {
    var scale = ruler.getBoundingClientRect(), whole = lanes.getBoundingClientRect();
    playhead.hidden = false;
    playhead.style.left = scale.left - whole.left + scale.width * now / data.duration + "px";
    var region = lanes.parentElement, x = scale.left - whole.left + scale.width * now / data.duration;
    var hidden = scale.left - whole.left;
    if (video && !video.paused && (x < region.scrollLeft + hidden || x > region.scrollLeft + region.clientWidth - 20))
      region.scrollLeft = x - hidden - 40;
  }
  function timeAt(event) {
    var scale = ruler.getBoundingClientRect();
    return data.duration * (event.clientX - scale.left) / scale.width;
  }
  ruler.addEventListener("pointerdown", function (event) { ruler.setPointerCapture(event.pointerId); seek(timeAt(event)); });
  ruler.addEventListener("pointermove", function (event) { if (event.buttons & 1) seek(timeAt(event)); });
  ruler.addEventListener("keydown", function (event) {
    var steps = {ArrowLeft: -0.1, ArrowRight: 0.1, ArrowDown: -0.1, ArrowUp: 0.1, PageDown: -1, PageUp: 1};
    if (event.key === "Home") seek(0);
    else if (event.key === "End") seek(data.duration);
    else if (event.key in steps) seek(now + steps[event.key]);
    else return;
    event.preventDefault();
  });

  // Each group of events is one stop of the Tab key; arrows move within it, and up and down between lanes.
  var groups = Array.from(document.querySelectorAll("[data-group]"));
  groups.forEach(function (group) {
    var items = Array.from(group.querySelectorAll("[data-event]"));
    if (items.length) items[0].setAttribute("tabindex", "0");
    group.addEventListener("click", function (event) {
      var item = event.target.closest("[data-event]");
      if (item) { stop(items, item); go(item); } else if (group.classList.contains("track")) seek(timeAt(event));
    });
    group.addEventListener("keydown", function (event) {
      var item = event.target.closest("[data-event]"), at = items.indexOf(item), next = null;
      if (!item) return;
      if (event.key === "ArrowRight") next = items[at + 1];
      else if (event.key === "ArrowLeft") next = items[at - 1];
      else if (event.key === "Home") next = items[0];
      else if (event.key === "End") next = items[items.length - 1];
      else if (event.key === "ArrowDown" || event.key === "ArrowUp") next = beside(group, event.key === "ArrowDown" ? 1 : -1);
      else if (event.key === "Enter" || event.key === " ") go(item);
      else return;
      event.preventDefault();
      if (next) { stop(items.indexOf(next) < 0 ? [] : items, next); next.focus(); }
    });
  });
  function stop(items, item) {
    items.forEach(function (other) { other.setAttribute("tabindex", other === item ? "0" : "-1"); });
  }
  function beside(group, step) {
    var other = groups[groups.indexOf(group) + step];
    return other && other.querySelector('[tabindex="0"]');
  }
  function go(item) { seek(data.events[+item.dataset.event].start); }

  // ---- what is drawn over the video -------------------------------------------------------------------------------------
  var boxes = Array.from(document.querySelectorAll("[data-show]"));
  boxes.forEach(function (input) {
    input.disabled = false;
    input.addEventListener("change", function () { show(input); draw(); });
    show(input);  // a browser that reloads keeps the ticks
  });
  function show(input) {
    shown[+input.dataset.show] = input.checked;
    input.closest(".lane").classList.toggle("off", !input.checked);
  }
  [["all", true], ["none", false]].forEach(function (pair) {
    var button = document.getElementById(pair[0]);
    button.hidden = false;
    button.addEventListener("click", function () {
      boxes.forEach(function (input) { input.checked = pair[1]; show(input); });
      draw();
    });
  });

  function fit() {
    // A long clip scrolls: an event must stay wide enough to hit.
    lanes.style.minWidth = data.duration * PIXELS_A_SECOND > lanes.parentElement.clientWidth ? data.duration * PIXELS_A_SECOND + "px" : "";
    draw();
  }
  window.addEventListener("resize", fit);
  fit();
  seek(+(/[#&]t=([\d.]+)/.exec(window.location.hash) || [0, 0])[1]);
})();
