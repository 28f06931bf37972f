"""Whether a long clip costs the system more memory than a short one: the same pictures and sounds, once and again and again.

    python benchmarks/system_memory.py --out reports/system_memory
    python benchmarks/system_memory.py --out reports/system_memory --clips ad_with_call --long-s 600 corpus=system

Each of the clips is repeated until it is as long as asked, without encoding it anew, and the whole system runs on the short one and
on the long one, each in fresh processes. A process's memory is the highest resident size of a pass (VmHWM, which the kernel keeps,
so that no peak is missed); that of the system is what all its processes held together (proportional set size), looked at every two
seconds.
Writes OUT.md and OUT.json.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reelbench.bench.environment import environment
from reelbench.bench.setup import open_clips
from reelbench.config import digest
from reelbench.errors import InputError
from reelbench.models.store import ModelStore
from reelbench.paths import write_text
from reelbench.report.progress import Progress
from reelbench.report.wording import number
from reelbench.system.config import compose_system
from reelbench.system.folder import SystemFolder
from reelbench.system.planning.fit import described
from reelbench.system.runner import run_system

MAY_GROW = 0.10
SYSTEM = "all processes together"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "settings", nargs="*", default=["corpus=system"], metavar="SETTING", help="as for 'reelbench system'"
    )
    parser.add_argument("--out", type=Path, required=True, help="OUT.md and OUT.json")
    parser.add_argument("--clips", nargs="+", default=["ad_with_call"], help="clips of the corpus")
    parser.add_argument("--long-s", type=float, default=180.0, help="how long the long ones are, in seconds")
    asked = parser.parse_intermixed_args()
    command = shlex.join(["python", "benchmarks/system_memory.py", *sys.argv[1:]])
    with tempfile.TemporaryDirectory() as folder, Progress() as progress:
        rows = [row for name in asked.clips for row in of_clip(name, asked, Path(folder), progress)]
    now = environment()
    whole = {"command": command, "machine": described(now["machine"]), "environment": now, "rows": rows}
    write_text(asked.out.with_suffix(".json"), json.dumps(whole, indent=1) + "\n")
    write_text(asked.out.with_suffix(".md"), markdown(whole))
    print(markdown(whole))


def of_clip(name: str, asked: argparse.Namespace, folder: Path, progress: Progress) -> list[dict[str, Any]]:
    """The peaks of every part on the clip as it is, and on the long one."""
    opened = open_clips(compose_system(asked.settings).base, (), ModelStore(), progress)
    clip = next((one for one in opened.clips if one.name == name), None)
    if clip is None:
        raise InputError(f"the corpus has no clip '{name}'", f"it has {', '.join(one.name for one in opened.clips)}")
    length = opened.infos[name].duration_s
    times = max(1, round(asked.long_s / length))
    peaks = []
    for count in (1, times):
        place = folder / digest([name, count])
        place.mkdir()
        repeated(clip.path, place / clip.path.name, count)
        run = [f"runs_dir={folder}/runs", "resume=false", "corpus=folder", f"corpus.path={place}"]
        settings = [item for item in asked.settings if not item.startswith("corpus")]
        peaks.append(peaks_of(run_system(compose_system([*settings, *run]), "benchmarks/system_memory.py", progress)))
    short, long = peaks
    seconds = {"short_s": length, "long_s": length * times}
    return [
        {"clip": name, **seconds, "part": part, "short_bytes": short[part], "long_bytes": long[part]} for part in short
    ]


def peaks_of(folder: SystemFolder) -> dict[str, int]:
    """Bytes by part. Raises InputError where something was not done: its memory would be nothing's."""
    if folder.record.status != "finished":
        raise InputError(f"{folder.path}: the run is {folder.record.status}", "its report.html says what went wrong")
    found: dict[str, int] = {}
    for span in folder.spans:
        if span.kind == "task" and span.rss_peak_bytes:
            found[span.name] = max(found.get(span.name, 0), span.rss_peak_bytes)
    return {**dict(sorted(found.items())), SYSTEM: folder.record.totals.pss_peak_bytes or 0}


def repeated(source: Path, target: Path, times: int) -> None:
    """``source`` so many times one after the other: its packets with later times. Every repeat begins with a key frame."""
    import av

    with av.open(str(source)) as first, av.open(str(target), "w") as container:
        given = [*first.streams.video[:1], *first.streams.audio[:1]]
        copies = {one.index: container.add_stream_from_template(one) for one in given}
        length = _length([packet for packet in first.demux(given) if packet.dts is not None])
        for repeat in range(times):
            first.seek(0)
            for packet in first.demux(given):
                if packet.dts is None:
                    continue
                later = round(repeat * length / packet.time_base)
                packet.pts, packet.dts = packet.pts + later, packet.dts + later
                packet.stream = copies[packet.stream.index]
                container.mux(packet)


def _length(packets: Sequence[Any]) -> float:
    """Seconds after which a repeat meets none of the packets before it: encoders begin a little before zero."""
    begin = min(packet.dts * packet.time_base for packet in packets)
    return float(max((packet.pts + packet.duration) * packet.time_base for packet in packets) - begin)


# The report

HEAD = """A process's memory is the highest resident size of its pass, its libraries and weights with it; that of all processes together
counts what they share once, and was looked at every two seconds (a short run has few such looks)."""


def markdown(whole: Mapping[str, Any]) -> str:
    rows: Sequence[Mapping[str, Any]] = whole["rows"]
    above = [row for row in rows if ratio(row) > 1 + MAY_GROW]
    said = ", ".join(f"`{row['part']}` on {row['clip']} ({ratio(row):.2f})" for row in above)
    lines = [
        "# Memory on a short clip and on a long one",
        "",
        f"`{whole['command']}` on {whole['machine']}.",
        "",
        HEAD,
        "",
    ]
    lines += [f"More than {MAY_GROW:.0%} above: {said or 'nothing'}.", ""]
    for clip in dict.fromkeys(row["clip"] for row in rows):
        own = [row for row in rows if row["clip"] == clip]
        lines += [
            f"## {clip}",
            "",
            f"| part | {number(own[0]['short_s'])} s: MB | {number(own[0]['long_s'])} s: MB | long / short |",
        ]
        lines += ["| --- | ---: | ---: | ---: |"]
        for row in own:
            short, long = row["short_bytes"] / 1e6, row["long_bytes"] / 1e6
            lines.append(f"| {row['part']} | {short:.0f} | {long:.0f} | {ratio(row):.2f} |")
        lines.append("")
    return "\n".join(lines)


def ratio(row: Mapping[str, Any]) -> float:
    return float(row["long_bytes"] / row["short_bytes"]) if row["short_bytes"] else 0.0


if __name__ == "__main__":
    main()
