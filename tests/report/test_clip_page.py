"""The page of a clip: in a browser a click goes there and boxes lie where the results say; it says what is missing; names are inert."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from reelbench.report import clip_page
from reelbench.report.clip_lanes import lane_colour, luminance, packed_rows, timeline
from reelbench.report.clip_page import ticks, write_clip_pages
from reelbench.system.outputs.reading import clip_output
from support.browser import BROWSER, NO_BROWSER, ask
from support.clips import make_clip
from support.pages import looked_at
from support.system_runs import event, make_system_run, usual, walk

OWNED = (
    "</script><script>document.title='owned'</script>\"'><img src=x onerror=document.title='owned'>\n<!--\u202e{{x}}"
)
in_browser = pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)

USE = """
var video = page.querySelector("video"), clock = page.querySelector("#clock"), ruler = page.querySelector("#ruler");
function bar(word) { return Array.from(page.querySelectorAll(".event")).find(function (e) {
  return e.getAttribute("aria-label").indexOf(word) === 0; }); }
function click(e) { e.dispatchEvent(new view.MouseEvent("click", {bubbles: true})); }
function key(e, name) { e.dispatchEvent(new view.KeyboardEvent("keydown", {key: name, bubbles: true, cancelable: true})); }
function seen() {
  var boxes = {};
  page.querySelectorAll("#over g").forEach(function (g) {
    var r = g.querySelector(".edge");
    boxes[g.dataset.name] = ["x", "y", "width", "height"].map(function (k) { return +r.getAttribute(k); });
  });
  return {clock: clock.textContent, video: video.currentTime, boxes: boxes, caption: page.querySelector("#caption").textContent,
          word: Array.from(page.querySelectorAll(".word[aria-current]")).map(function (e) { return e.textContent; }).join(),
          live: Array.from(page.querySelectorAll("#now span")).map(function (e) { return e.textContent; })};
}
var out = {plays: video.readyState > 0 && !video.error, start: seen()};
click(bar("bus stop")); out.clicked = seen();
var scale = ruler.getBoundingClientRect(), head = page.querySelector("#playhead").getBoundingClientRect();
out.playhead = (head.left + 1 - scale.left) / scale.width;
for (var n = 0; n < 5; n += 1) key(ruler, "ArrowRight");
out.between = seen();
key(ruler, "End"); out.end = seen();
click(Array.from(page.querySelectorAll(".word")).find(function (e) { return e.textContent === "Follow"; })); out.word = seen();
var first = bar("pan right");
first.focus(); key(first, "ArrowRight");
out.focused = page.activeElement.getAttribute("aria-label");
key(page.activeElement, "Enter"); out.entered = seen();
page.querySelectorAll("[data-show]").forEach(function (e) { if (/object_detection/.test(e.closest(".lane").textContent)) e.click(); });
out.without = seen();
return out;
"""


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "a clip #1 100%.mp4", frames=60)


@in_browser
def test_a_click_goes_there_and_boxes_lie_where_the_results_say(tmp_path: Path, video: Path) -> None:
    run = make_system_run(tmp_path, {"one": usual()}, videos={"one": video})
    (page,) = write_clip_pages(run, tmp_path / "pages").files
    found, logged = ask(page, USE, tmp_path / "profile")
    assert logged == ""
    for name, at in (("start", 0.0), ("clicked", 0.5), ("between", 1.0), ("entered", 1.0)):
        shown = found[name]
        assert shown["clock"] == f"{at:.2f} s"
        _same_box(shown["boxes"]["person"], walk(), at)
        if found["plays"]:
            assert shown["video"] == pytest.approx(at, abs=0.02)
    assert set(found["clicked"]["boxes"]) == {"person", "bus stop", "HALF PRICE / only today"}
    assert found["clicked"]["caption"] == "Hello there, you." and found["clicked"]["word"] == "there,"
    assert found["playhead"] == pytest.approx(0.25, abs=0.01)
    assert set(found["between"]["boxes"]) == {"person", "HALF PRICE / only today"}
    assert found["end"]["boxes"] == {}, "the end of an event does not belong to it"
    assert (found["word"]["clock"], found["word"]["word"]) == ("1.20 s", "Follow")
    assert found["word"]["caption"] == "Follow me!" and found["word"]["live"] == ["still"]
    assert found["focused"].startswith("still")
    assert set(found["without"]["boxes"]) == {"HALF PRICE / only today"}


@in_browser
def test_page_is_quiet_fits_and_is_not_owned_by_names(tmp_path: Path, video: Path) -> None:
    odd = [
        event(0, 1, OWNED, OWNED, (1, 1, 9, 9), attributes={OWNED: OWNED}),
        event(0, 2, "clip", attributes={"a": OWNED}),
    ]
    found: dict[str, Any] = {**usual(), OWNED: odd, "speech_transcription": [event(0, 1, "word", OWNED)]}
    run = make_system_run(tmp_path, {OWNED: found}, videos={OWNED: video})
    (page,) = write_clip_pages(run, tmp_path, embed=True).files
    assert looked_at(page, tmp_path / "profile", width=360, dark=True).title.endswith("ReelBench")


def test_page_without_a_browser_says_what_is_missing(tmp_path: Path) -> None:
    found = {**usual(), "speech_transcription": usual()["eye_tracking"]}
    run = make_system_run(tmp_path, {"one": found})
    done = write_clip_pages(run, run.path / "clips")
    text = done.files[0].read_text(encoding="utf-8")
    words = " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())
    assert "failed the process died: killed by signal 9" in words
    assert "unavailable torch is not installed pip install 'reelbench[vlm]'" in words
    assert "speech_transcription is failed: the process died" in words, "in place of the transcript"
    assert "sound_effects Found nothing." in words and "loudness_lufs -14.2" in words
    assert "<video" not in text and done.notes == [
        "one: the video is not where it was when the run was made, so the page has none"
    ]
    assert 'href="../report.html"' in text
    assert not re.search(r"(src|href)=\"(https?:)?//|url\(|@import", text), "nothing is loaded"


def test_video_is_found_from_the_page_or_lies_in_it(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_system_run(tmp_path, {"one": usual()}, videos={"one": video})
    out = tmp_path / "deep" / "pages"

    def source(embed: bool) -> tuple[str, list[str]]:
        done = write_clip_pages(run, out, embed=embed)
        found = re.search(r'<video [^>]*src="([^"]+)"', done.files[0].read_text(encoding="utf-8"))
        assert found
        return found.group(1), done.notes

    beside, notes = source(embed=False)
    assert (out / unquote(beside)).resolve() == video and not notes
    inside, notes = source(embed=True)
    assert inside.startswith("data:video/mp4;base64,") and not notes
    monkeypatch.setattr(clip_page, "EMBED_BYTES", 10)
    again, notes = source(embed=True)
    assert again == beside and "stays beside the page" in notes[0]


def test_lanes_do_not_overlap_and_can_be_read() -> None:
    spans = [(0, 4), (0, 1), (1, 2), (1.5, 3), (3, 5), (4, 5)]
    assert packed_rows([event(a, b, "x") for a, b in spans]) == [0, 1, 1, 2, 1, 0]
    for index in range(30):
        colour = lane_colour(index)
        light = _luminance(colour)
        assert _contrast(light, 1.0) > 3 and _contrast(light, _luminance("#19202a")) > 3, colour
        assert _contrast(light, _luminance("#10181f")) > 4.5, "the ink of labels"


def test_every_event_is_on_the_page_once(tmp_path: Path) -> None:
    run = make_system_run(tmp_path, {"one": usual()})
    shown = timeline(clip_output(run, run.record.clips[0]))
    bars = [bar.index for lane in shown.lanes for bar in lane.bars]
    assert bars == list(range(len(shown.events))) and len(bars) == 12, "all but the figures of the whole clip"
    assert [[word for _, word in line.words] for line in shown.lines] == [
        ["Hello", "there,", "you."],
        ["Follow", "me!"],
    ]
    assert [shown.events[at][1].text for at, _ in shown.lines[0].words] == ["Hello", "there,", "you."]
    assert ticks(shown)[0] == (0, "0 s") and ticks(shown)[-1] == (100, "2 s")


def _same_box(drawn: list[float], expected: Any, at: float) -> None:
    x1, y1, x2, y2 = expected.box_at(at).box
    assert drawn == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.11)


def _luminance(colour: str) -> float:
    return luminance(tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)))  # type: ignore[arg-type]


def _contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)
