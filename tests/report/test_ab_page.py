"""The page of a comparison: the verdict in words, every pair drawn, the worst frames found, readable anywhere, hostile names inert."""

import html
import json
import re
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from reelbench.cli.report import command
from reelbench.comparison.folder import read_comparison
from reelbench.comparison.records import Audit
from reelbench.corpus.clip import Truth, TruthFrame, TruthObject
from reelbench.errors import InputError
from reelbench.report.ab_charts import forest, ratio_ticks
from reelbench.report.ab_data import load_comparison
from reelbench.report.ab_frames import worst_frames, worst_instants
from reelbench.report.ab_page import side_by_side, write_ab_page
from reelbench.report.ab_terminal import comparison_text
from reelbench.results import AnalyzerResult, Event
from support.browser import BROWSER, NO_BROWSER, ask
from support.clips import make_clip
from support.comparisons import make_comparison, write_comparison
from support.runs import make_result

HOSTILE = "<script>document.title='owned'</script>\"'><img src=x onerror=document.title='owned'>.mp4"
in_browser = pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)

LOOK = """
var scrolling = Array.from(page.querySelectorAll("*")).filter(function (e) {
  return /auto|scroll/.test(view.getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1;
});
return {
  title: page.title,
  verdict: page.getElementById("verdict").textContent,
  pairs: page.querySelectorAll("g.pair").length,
  tips: Array.from(page.querySelectorAll("g.pair title")).filter(function (t) { return t.textContent; }).length,
  ratios: page.querySelectorAll("circle.ratio").length,
  estimates: page.querySelectorAll("#effect g.estimate").length,
  passes: page.querySelectorAll("circle.arm-a, circle.arm-b").length,
  pictures: page.querySelectorAll("#frames image").length,
  outside: page.documentElement.scrollWidth - page.documentElement.clientWidth,
  unreachable: scrolling.filter(function (e) { return e.tabIndex < 0 && !e.querySelector("a,button"); }).map(
    function (e) { return e.className; }),
  skip: page.querySelector("a.skip").getAttribute("href"),
  sections: page.querySelectorAll("nav a").length - Array.from(page.querySelectorAll("nav a")).filter(function (a) {
    return page.querySelector(a.getAttribute("href")); }).length,
  background: view.getComputedStyle(page.body).backgroundColor,
  ink: view.getComputedStyle(page.body).color,
};"""


def _words(page: Path) -> str:
    text = re.sub(r"<(style|script)>.*?</\1>", " ", page.read_text(encoding="utf-8"), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def _truth_beside(video: Path, every: int = 5) -> None:
    """The truth of `support.runs.make_result`, which arm A finds in full."""
    events = make_result("x").events
    frames = tuple(
        TruthFrame(
            t_s=index / 25,
            objects=tuple(TruthObject(label=e.label, box=at.box) for e in events if (at := e.box_at(index / 25))),
        )
        for index in range(0, 100, every)
    )
    video.with_name(f"{video.name}.truth.json").write_text(Truth(objects=frames).model_dump_json(), encoding="utf-8")


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faster, but it takes persons for aeroplanes: with real frames to show."""
    parent = tmp_path_factory.mktemp("worse")
    video = parent / "v.mp4"
    make_clip(video, frames=100, size=(640, 272), fps=25.0)
    _truth_beside(video)
    folder = make_comparison(parent, quality="worse", b="openvino_int8_naive", pairs=20, video=video)
    write_ab_page(folder)
    return folder


@in_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, False), (360, True)])
def test_the_page_in_a_browser(worse: Path, tmp_path: Path, width: int, dark: bool) -> None:
    record = read_comparison(worse)
    seen, logged = ask(worse / "report.html", LOOK, tmp_path, width=width, dark=dark)
    assert logged == ""
    assert seen["verdict"].startswith("faster, but")
    assert seen["pairs"] == seen["tips"] == seen["ratios"] == len(record.pairs)
    assert seen["passes"] == 2 * 2 * len(record.pairs), "two passes a pair in both arms"
    assert record.speed is not None
    assert seen["estimates"] == 3 + len(record.speed.per_clip)
    assert seen["pictures"] == 8, "four instants, each in both arms"
    assert seen["outside"] == 0, "nothing sticks out of the page"
    assert (seen["unreachable"], seen["skip"], seen["sections"]) == ([], "#content", 0)
    channels = [int(value) for value in re.findall(r"\d+", seen["background"])[:3]]
    assert (max(channels) < 60) is dark
    assert seen["ink"] != seen["background"]


@in_browser
def test_hostile_names_stay_text(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path, clips=(HOSTILE, "b"), invalid=HOSTILE, notes=(HOSTILE,), a=HOSTILE, b=HOSTILE)
    page = write_ab_page(folder)
    assert not re.search(r"<(img|script)[^>]+(src|onerror)=", page.read_text(encoding="utf-8"))
    seen, logged = ask(page, LOOK, tmp_path / "profile", width=360)
    assert logged == ""
    assert "owned" not in seen["title"].replace("title='owned'", "")
    assert seen["outside"] == 0


def test_the_worst_frames_are_where_b_errs_and_a_does_not(worse: Path) -> None:
    found = worst_frames(load_comparison(worse))
    assert found.problems == []
    assert [one.clip for one in found.shown] == ["street", "street", "garage", "garage"], "largest fall first"
    first = found.shown[0]
    assert sorted(first.instant.missed) == ["bicycle", "person"]
    assert first.instant.invented == ("aeroplane",)
    assert 1.0 <= first.instant.t_s < 2.0, "only then is the bicycle there"
    assert [box.label for box in first.b.found] == ["aeroplane"]
    assert {box.label for box in first.a.found} == {box.label for box in first.a.truth or ()} == {"person", "bicycle"}
    words = _words(worse / "report.html")
    assert "B misses bicycle, person; B finds aeroplane, which is not there and A does not find" in words


def test_without_boxes_the_worst_instants_are_told_by_words() -> None:
    def spoken(text: str) -> AnalyzerResult:
        event = Event(start_s=1.0, end_s=2.0, label="text", text=text, score=0.9)
        return AnalyzerResult(analyzer="text_overlay", clip="c", duration_s=4.0, events=(event,))

    (one,) = worst_instants(spoken("SALE"), spoken("SAIE"), None, 1)
    assert (one.missed, one.invented) == (("text “SALE”",), ("text “SAIE”",))
    assert 1.0 <= one.t_s < 2.0
    assert worst_instants(spoken("SALE"), spoken("SALE"), None, 1) == []


def test_a_clip_that_is_gone_is_said(tmp_path: Path) -> None:
    words = _words(write_ab_page(make_comparison(tmp_path, quality="worse")))
    assert "street: the clip is no longer at /fixture/street.mp4" in words


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, ("faster", "Exit code 0: passes", "7 false alarms in 200 A/A decisions")),
        ({"ratio": 1.0, "pairs": 30}, ("equivalent", "Exit code 0")),
        ({"ratio": 1.5}, ("slower", "Exit code 1: fails")),
        (
            {"ratio": 0.98, "spread": 0.06, "pairs": 15, "quality": "underpowered", "calibrated": False},
            ("inconclusive", "? quality underpowered", "run `reelbench calibrate`", "pairs in all", "Exit code 3: undecided"),
        ),
        ({"clips": ("a",), "pairs": 3}, ("Too few pairs for an interval", "no bound", "1 clip judged, few")),
        ({"invalid": "B fell back to openvino_fp32"}, ("INVALID", "B fell back to openvino_fp32", "Exit code 5")),
        (
            {"pairs": 0, "quality": None, "status": "interrupted"},
            ("not decided", "Not complete (interrupted)", "No pair was finished", "Quality was not judged"),
        ),
        (
            {
                "audits": [Audit(name="repeated frame", status="failed", arm="b", text="80 % faster: it caches")],
                "invalid": "it caches",
            },
            ("Audit failed: repeated frame B (optimized): 80 % faster: it caches",),
        ),
    ],
)  # fmt: skip
def test_every_kind_of_verdict_has_a_page_and_a_text(
    tmp_path: Path, options: dict[str, object], said: tuple[str, ...]
) -> None:
    folder = make_comparison(tmp_path, **options)  # type: ignore[arg-type]
    data = load_comparison(folder)
    words = _words(write_ab_page(folder))
    for expected in said:
        assert expected in words
    assert data.record.command in words
    assert "None" not in words.replace("None: both", "")
    assert not re.search(r"\b(nan|inf)\b", words)
    text = comparison_text(data.record, "/page.html", (data.a, data.b))
    assert max(len(line) for line in text.splitlines()) <= 100
    head = (data.record.verdict or "not decided").upper()
    assert text.startswith(head)
    assert f"(exit {data.record.exit_code}" in text
    assert "calibration" in text


def test_the_forest_draws_what_the_record_says(tmp_path: Path) -> None:
    speed = read_comparison(make_comparison(tmp_path, ratio=0.5)).speed
    assert speed is not None
    chart = forest(speed)
    main = chart.rows[0]
    assert main.low <= main.x <= main.high < chart.zone[0] < chart.one < chart.zone[1]
    assert chart.zone[0] + chart.zone[1] == pytest.approx(2 * chart.one), "±delta is symmetrical on a log axis"
    assert all(row.open_low and row.open_high for row in chart.rows if row.kind == "clip"), "three pairs bound nothing"


def test_many_clips_are_folded_away(tmp_path: Path) -> None:
    few, many = (
        make_comparison(tmp_path, name=str(n), clips=[f"c{i}" for i in range(n)], pairs=20, ratio=0.98, spread=0.06)
        for n in (16, 17)
    )
    assert "clips, each by itself" not in _words(write_ab_page(few))
    page = write_ab_page(many)
    assert _words(page).count("17 clips, each by itself") == 2, "speed and quality"
    assert page.read_text(encoding="utf-8").count('class="bar estimate e-clip"') == 2 * 17


@pytest.mark.parametrize(("low", "high"), [(0.97, 1.03), (0.2, 1.1), (0.9, 4.0), (0.01, 1.0), (0.999, 1.001)])
def test_ratio_ticks_lie_inside_and_hold_the_same(low: float, high: float) -> None:
    ticks = ratio_ticks(low, high)
    assert 1.0 in ticks
    assert ticks == sorted(ticks)
    assert len(ticks) <= 10
    assert all(low <= tick <= high for tick in ticks)


def test_a_tick_says_where_it_stands(tmp_path: Path) -> None:
    speed = read_comparison(make_comparison(tmp_path, ratio=1.0, pairs=30)).speed
    assert speed is not None
    labels = [tick.label for tick in forest(speed).x_ticks]
    assert "same" in labels
    assert [label for label in labels if "2.5" in label], f"ticks at 2.5 % are not rounded to whole per cent: {labels}"


def test_only_what_differs_is_marked() -> None:
    rows = side_by_side({"engine": {"threads": 2}, "x": 1}, {"engine": {"threads": 4}, "x": 1, "y": True})
    assert [(row.name, row.a, row.b) for row in rows if row.differs] == [
        ("engine.threads", "2", "4"),
        ("y", "(not set)", "yes"),
    ]
    assert [row.name for row in rows if not row.differs] == ["x"]


def test_the_settings_that_differ_are_on_the_page(tmp_path: Path) -> None:
    words = _words(write_ab_page(make_comparison(tmp_path)))
    start = words.index("Settings that differ")
    assert "≠ variant baseline optimized" in words[start : words.index("Machine and software")]


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("comparison.json", None, "has no comparison.json"),
        ("comparison.json", '{"version"', "comparison.json"),
        ("b/run.json", None, "the run of arm optimized is missing"),
        ("a/samples.parquet", "PAR1", "samples.parquet is damaged"),
        ("environment.json", "[", "environment.json is damaged"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(tmp_path: Path, name: str, text: str | None, named: str) -> None:
    folder = make_comparison(tmp_path)
    (folder / "report.html").write_text("the old page")
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    with pytest.raises(InputError, match=re.escape(named)) as caught:
        write_ab_page(folder)
    assert "\n" not in str(caught.value)
    assert (folder / "report.html").read_text() == "the old page"


def _passes(run: Path, clip: str) -> list[dict[str, float]]:
    rows = pq.read_table(run / "samples.parquet").to_pylist()
    return [row for row in rows if row["clip"] == clip and row["kind"] == "timed"]


def test_arms_may_lie_elsewhere(tmp_path: Path) -> None:
    folder = make_comparison(tmp_path)
    (folder / "a").rename(tmp_path / "run_a")
    record = read_comparison(folder)
    record.a.folder = str(tmp_path / "run_a")
    record.design = "separate runs"
    for pair in record.pairs:  # one value a clip, from all of its passes
        pair.a_s, pair.b_s = (
            median(row["total_s"] for row in _passes(arm, pair.clip)) for arm in (tmp_path / "run_a", folder / "b")
        )
    write_comparison(folder, record)
    words = _words(write_ab_page(folder))
    assert "separate runs, made at different times" in words
    assert "identical code differs by up to 8.0 % between runs here" in words


def test_the_command_takes_runs_and_comparisons_together(tmp_path: Path) -> None:
    one, two = (make_comparison(tmp_path, name=name, pairs=10, clips=("a", "b")) for name in ("one", "two"))
    done = CliRunner().invoke(command, [str(one), str(one / "a"), str(two), str(two / "b"), "--no-frames", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [part["id"] for part in found["comparisons"]] == ["one", "two"]
    assert [row["variant"] for row in found["rows"]] == ["baseline", "optimized"]
    assert found["comparisons"][0]["report"] == str(one / "report.html")
    assert found["report"] == str(one / "variants.html")
    for page in (one / "report.html", two / "report.html", one / "variants.html"):
        assert page.is_file()
    for wrong in ([], ["--history", "--pareto"], ["--history", str(one)], [str(one), str(two), "-o", "x.html"]):
        assert CliRunner().invoke(command, wrong).exit_code == 2
    neither = CliRunner().invoke(command, [str(tmp_path)])
    assert isinstance(neither.exception, InputError)
    assert "neither a run nor a comparison" in neither.exception.message
