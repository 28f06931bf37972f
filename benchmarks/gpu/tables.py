"""The page of a GPU report: one table a part, then what was not measured and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
NARRATION = "qwen2_vl_temporal"


def page(report: dict[str, Any]) -> str:
    """The report (the content of its JSON file) as Markdown."""
    about, settings = report["environment"], report["settings"]
    gpu = about.get("gpu")
    lines = [f"# {gpu}" if gpu else "# A CPU, not a GPU: a rehearsal of the script, not a measurement", ""]
    lines += [f"    {command}" for command in report["commands"]]
    lines += ["", _environment(about), ""]
    if report["stopped"]:
        lines += [f"**Incomplete**: {report['stopped']}", ""]
    lines += [
        "All networks have random weights of the published size: the figures tell speed and memory, never quality. Figures "
        f"are medians of {settings['rounds']} rounds, smallest and largest in brackets. docs/gpu.md explains each.",
        "",
    ]
    headings: dict[str, dict[str, Row]] = {}
    for key, row in report["rows"].items():
        headings.setdefault(key.split(" | ")[0], {})[key.split(" | ", 1)[1]] = row
    for heading, rows in headings.items():
        lines += [f"## {heading}", ""]
        narration = heading.startswith(NARRATION)
        if narration:
            lines += [_narration(settings), ""]
        lines += _table(rows, _NARRATION if narration else _OTHER)
        lines += _tokens(rows)
        lines += _wrong(rows)
        lines += _missing(rows)
    return "\n".join(lines).rstrip() + "\n"


def _narration(settings: dict[str, Any]) -> str:
    return (
        f"{settings['windows']} segments a pass, {settings['tokens']} tokens each; the baseline is measured before and after each "
        "arm. The stand-in tokenizer makes about four times as many prompt tokens as the real one."
    )


def _spread(row: Row, key: str) -> str:
    value = row.get(key)
    if isinstance(value, dict):
        return f"{value['median']:.3g} ({value['least']:.3g}–{value['most']:.3g})"
    return "–" if value is None else f"{value:.3g}"


def _share(row: Row, *names: str) -> str:
    found = row.get("roofline") or {}
    value = next((found[name] for name in names if found.get(name) is not None), None)
    return "–" if value is None else f"{value:.0%}"


def _attention(row: Row) -> str:
    return ", ".join(row["evidence"]["attention_kernels"]) or "none"


def _parity(row: Row) -> str:
    found = row.get("parity") or {}
    error = next((found[key] for key in ("error", "max_abs") if found.get(key) is not None), None)
    return "–" if error is None else f"{error:.2g}"


def _peak_mib(row: Row) -> str:
    return "–" if row.get("peak_mib") is None else f"{row['peak_mib']:.0f}"


_NARRATION: dict[str, Callable[[Row], str]] = {
    "ms/segment": lambda row: _spread(row, "ms_segment"),
    "times faster": lambda row: _spread(row, "times_faster"),
    "prefill ms": lambda row: _spread(row, "prefill_ms_segment"),
    "tokens/s": lambda row: _spread(row, "tokens_s"),
    "peak GiB": lambda row: _spread(row, "peak_gib"),
    "prefill, share of matrix rate": lambda row: _share(row, "prefill"),
    "decoding, share of bandwidth": lambda row: _share(row, "decode"),
    "baseline's tokens": lambda row: f"{row['same_tokens']:.0%}",
    "precision": lambda row: row["precision"],
    "attention that ran": _attention,
}
_OTHER: dict[str, Callable[[Row], str]] = {
    "ms a call": lambda row: _spread(row, "ms"),
    "times faster": lambda row: _spread(row, "times_faster"),
    "peak MiB": _peak_mib,
    "share of matrix rate": lambda row: _share(row, "matrix"),
    "share of bandwidth": lambda row: _share(row, "bandwidth"),
    "parity error": _parity,
}


def _table(rows: dict[str, Row], columns: dict[str, Callable[[Row], str]]) -> list[str]:
    measured = {k: r for k, r in rows.items() if r["status"] == "measured" and "equal" not in r}
    if not measured:
        return []
    filled = {head: {k: cell(r) for k, r in measured.items()} for head, cell in columns.items()}
    used = {head: cells for head, cells in filled.items() if set(cells.values()) != {"–"}}
    lines = ["| arm | " + " | ".join(used) + " |", "| --- |" + " ---: |" * len(used)]
    lines += [f"| {key} | " + " | ".join(cells[key] for cells in used.values()) + " |" for key in measured]
    return [*lines, ""]


def _tokens(rows: dict[str, Row]) -> list[str]:
    found = {key: row for key, row in rows.items() if "equal" in row}
    if not found:
        return []
    said = [
        f"{key.split(' | ')[0]} " + ("equal" if row["equal"] else f"**not equal** ({row['share']:.0%})")
        for key, row in found.items()
    ]
    return ["Tokens in FP32 against the baseline's: " + ", ".join(said) + ".", ""]


def problem(row: Row) -> str:
    """Why a measured row must not be believed; '' where nothing speaks against it."""
    if row.get("equal") is False:
        return f"writes other tokens than the baseline in FP32 ({row['share']:.0%} before the first that differs)"
    return str(row.get("contradiction") or row.get("wrong") or "")


def _wrong(rows: dict[str, Row]) -> list[str]:
    found = [f"- **wrong**: {key}: {problem(row)}" for key, row in rows.items() if problem(row)]
    return [*found, ""] if found else []


def _missing(rows: dict[str, Row]) -> list[str]:
    found = [f"- {key}: {row['status']}: {row['reason']}" for key, row in rows.items() if row["status"] != "measured"]
    return [*found, ""] if found else []


def _environment(about: dict[str, Any]) -> str:
    chip = f"{about['gpu']} ({about['gpu_gib']} GiB, CUDA {about['cuda']}), " if "gpu" in about else ""
    there = ", ".join(f"{name} {number}" for name, number in about["packages"].items() if number)
    return f"{chip}{about['cpu']} ({about['cores']} cores), {about['system']}, Python {about['python']}, {there}."
