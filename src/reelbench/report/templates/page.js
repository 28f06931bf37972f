// Progressive: without this script the page says everything too (tooltips are the browser's own).
(function () {
  "use strict";
  var tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.appendChild(tip);

  var marks = document.querySelectorAll(".bar, .dot, .box");
  marks.forEach(function (mark) {
    var title = mark.querySelector("title");
    if (!title) return;
    var text = title.textContent;
    mark.addEventListener("pointerenter", function (event) {
      title.textContent = "";
      tip.textContent = text;
      tip.hidden = false;
      place(event);
    });
    mark.addEventListener("pointermove", place);
    mark.addEventListener("pointerleave", function () {
      title.textContent = text;
      tip.hidden = true;
    });
  });

  function place(event) {
    var left = Math.min(event.clientX + 12, window.innerWidth - tip.offsetWidth - 8);
    tip.style.left = Math.max(8, left) + "px";
    tip.style.top = Math.max(8, event.clientY - tip.offsetHeight - 10) + "px";
  }

  document.querySelectorAll(".code").forEach(function (block) {
    var button = block.querySelector(".copy");
    if (!button || !navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(block.querySelector("code").textContent).then(function () {
        button.textContent = "Copied";
        window.setTimeout(function () { button.textContent = "Copy"; }, 1500);
      }, function () { button.textContent = "Press Ctrl+C"; });
    });
  });

  document.querySelectorAll("[data-toggle]").forEach(function (input) {
    var label = input.closest("label");
    if (!document.querySelector(".box." + input.dataset.toggle)) return;
    label.hidden = false;
    input.addEventListener("change", function () {
      document.body.classList.toggle("hide-" + input.dataset.toggle, !input.checked);
    });
  });

  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (part) { part.open = true; });
  });
})();
