"""``reelbench corpus``: list the clips of a corpus, and render a synthetic script with its truth drawn in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reelbench.encoding import path_text, readable
from reelbench.errors import ConfigError

if TYPE_CHECKING:
    from reelbench.corpus.base import Corpus
    from reelbench.corpus.clip import Clip
    from reelbench.models.store import ModelStore

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


@click.group()
def command() -> None:
    """List the clips of a corpus; render a synthetic script (docs/corpus.md)."""


@command.command(name="list")
@click.argument("name", required=False, metavar="[CORPUS]")
@click.option("--path", type=click.Path(path_type=Path), help="The folder of 'folder'.")
@_json
def list_(name: str | None, path: Path | None, as_json: bool) -> None:
    """Show the corpora, or the clips of one; clips that are not there yet are fetched and rendered."""
    if name is None and path is None:
        _show_corpora(as_json)
        return
    corpus = _load(name or "folder", path)
    store = _store_with(corpus.artifacts())
    _show_clips(corpus.clips(store, _say), as_json)


@command.command()
@click.argument("script")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The clip to write (default: <script>.truth.mp4 here)."
)
@click.option(
    "--clean", type=click.Path(path_type=Path), help="Write the clip without drawings too, its truth beside it."
)
@_json
def render(script: str, output: Path | None, clean: Path | None, as_json: bool) -> None:
    """Render SCRIPT (a file or a shipped name) with its truth drawn in: boxes, texts, camera moves and cuts."""
    from reelbench.corpus import synthetic
    from reelbench.corpus.draw import with_truth
    from reelbench.corpus.script import find_script, load_script
    from reelbench.paths import atomic_path

    found = find_script(script)
    target = output or Path(f"{found.stem}.truth.mp4")
    _check_targets(target, clean)
    job = synthetic.make_job(found, _store_with(load_script(found).artifacts()))
    scene = synthetic.make_scene(job)
    with atomic_path(target) as temporary:
        synthetic.encode(scene, with_truth(scene), temporary)
    if clean:
        synthetic.render(job, clean)
    truth = scene.truth()
    counts = {part: len(getattr(truth, part) or ()) for part in ("objects", "overlays", "camera", "cuts")}
    seconds = scene.timeline.frames / job.script.fps
    if as_json:
        written = {"script": job.name, "output": str(target), "clean": str(clean) if clean else None}
        _print_json({**written, "seconds": seconds, "frames": scene.timeline.frames, "truth": counts})
        return
    click.echo(
        f"{target}  {seconds:g} s, {counts['cuts']} cuts, {counts['camera']} camera moves, {counts['overlays']} texts"
    )
    if clean:
        click.echo(f"{clean}  and its truth, {synthetic.truth_path(clean).name}")


def _check_targets(target: Path, clean: Path | None) -> None:
    for path in (target, clean):
        if path and path.suffix.lower() != ".mp4":
            raise ConfigError(f"{path}: a clip is written as .mp4", "give a name that ends in .mp4")
    if clean and clean.absolute() == target.absolute():
        raise ConfigError(f"{clean}: --clean and --output name the same file")


def _load(name: str, path: Path | None) -> Corpus:
    """Build a corpus from conf/corpus. ConfigError lists what there is."""
    import yaml

    from reelbench.config import instantiate
    from reelbench.settings import did_you_mean

    known = _corpora()
    if name not in known:
        raise ConfigError(f"there is no corpus '{name}'", did_you_mean(name, known))
    node: dict[str, Any] = yaml.safe_load(known[name].read_text(encoding="utf-8"))
    if path is not None and "path" not in node:
        raise ConfigError(f"corpus {name} takes no path", "reelbench corpus list folder --path DIR")
    if "path" in node:
        node["path"] = str(path) if path is not None else None
    corpus: Corpus = instantiate(node)
    return corpus


def _corpora() -> dict[str, Path]:
    from reelbench.paths import conf_dir

    return {path.stem: path for path in sorted((conf_dir() / "corpus").glob("*.yaml"))}


def _store_with(artifacts: tuple[str, ...]) -> ModelStore:
    from reelbench.models.store import ModelStore

    store = ModelStore()
    if absent := [artifact for artifact in artifacts if not store.status(artifact).ok]:
        click.echo(f"fetching {len(absent)} of {len(artifacts)} files", err=True)
    store.ensure(artifacts)
    return store


def _say(what: str, done: int, total: int) -> None:
    click.echo(f"[{done}/{total}] {what}", err=True)


def _show_corpora(as_json: bool) -> None:
    about = {}
    for name, path in _corpora().items():
        comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        about[name] = comments[0].lstrip("# ") if comments else ""
    if as_json:
        _print_json(about)
        return
    for name, text in about.items():
        click.echo(f"{name:10} {text}")


def _show_clips(clips: list[Clip], as_json: bool) -> None:
    if as_json:
        _print_json(
            [
                {"name": clip.name, "corpus": clip.corpus, "path": path_text(clip.path), "sha256": clip.sha256}
                | {"truth": clip.truth is not None}
                for clip in clips
            ]
        )
        return
    for clip in clips:
        truth = "with truth" if clip.truth else "no truth"
        click.echo(f"{clip.name:24} {clip.corpus:10} {truth:10} {clip.sha256[:12]}  {readable(str(clip.path))}")


def _print_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
