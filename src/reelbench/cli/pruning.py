"""What 'reelbench models prune|undo|trash|audit' and 'reelbench disk …' share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reelbench.cli.formats import human, print_json, say_distrusted
from reelbench.console import one_line
from reelbench.errors import ReelBenchError, UsageError

if TYPE_CHECKING:
    from reelbench.disk.apply import Applied, Situation
    from reelbench.disk.planning import Plan
    from reelbench.disk.policy import Policy

_UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
_UNITS_B = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_SHOWN = 40

Command = TypeVar("Command", bound=Callable[..., Any])


class Duration(click.ParamType[float]):
    """'36h', '7d', '30min' as seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return value if isinstance(value, float) else _amount(value, _UNITS_S, "a time such as 36h or 7d")


class Size(click.ParamType[int]):
    """'20GB', '500MiB' as bytes; decimal units unless they say otherwise."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return value if isinstance(value, int) else round(_amount(value, _UNITS_B, "a size such as 20GB or 500MiB"))


def policy_options(command: Command) -> Command:
    """The options that limit what goes, and those that say what is done."""
    options = (
        click.argument("names", nargs=-1, metavar="[NAME]..."),
        click.option("--older-than", type=Duration(), help="Only what nobody changed or used for this long (30d)."),
        click.option("--keep-last", type=click.IntRange(0), help="Keep so many of the newest of each group."),
        click.option(
            "--least-recently-used", type=click.IntRange(1), metavar="N", help="At most N, longest unused first."
        ),
        click.option(
            "--budget", type=Size(), help="Only until what is there takes no more than this, longest unused first."
        ),
        click.option("--until-free", type=Size(), help="Only until each disk has this free, longest unused first."),
        click.option("--grace", type=Duration(), default="24h", show_default=True, help="What is younger never goes."),
        click.option("--plan", "save", type=click.Path(path_type=Path), help="Write the plan to this file."),
        click.option("--apply", "source", type=click.Path(path_type=Path), help="Carry out the plan in this file."),
        click.option("--yes", is_flag=True, help="Plan and carry out at once."),
        click.option(
            "--now", is_flag=True, help="Delete for good instead of keeping it in the trash. There is no undo."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def policy_of(kinds: frozenset[str], given: dict[str, Any]) -> Policy:
    from reelbench.disk.policy import Policy

    return Policy(
        kinds=kinds,
        grace_s=given["grace"],
        older_than_s=given["older_than"],
        keep_last=given["keep_last"],
        least_recently_used=given["least_recently_used"],
        budget=given["budget"],
        until_free=given["until_free"],
        only=given["names"] or None,
    )


def prune(command: str, kinds: frozenset[str], given: dict[str, Any], as_json: bool) -> None:
    """Plan, and carry out where that is asked for."""
    from reelbench.disk import plan_file
    from reelbench.disk.registry import Registry

    source, save, yes = given["source"], given["save"], given["yes"]
    limits = ("names", "older_than", "keep_last", "least_recently_used", "budget", "until_free")
    if source is not None and (yes or save is not None or any(given[name] for name in limits)):
        raise UsageError("--apply takes what it does from its file alone", "give no names and no limits with it")
    if given["now"] and source is None and not yes:
        raise UsageError("--now says how to delete, not that it should be done", "add --yes or --apply PLAN")
    situation = _situation()
    say_distrusted(Registry.load(situation.store))
    plan = plan_file.read(source) if source is not None else _plan(situation, policy_of(kinds, given))
    if save is not None:
        plan_file.write(plan, save)
    if source is None and not yes:
        _show_plan(plan, command, save, as_json)
        return
    from reelbench.disk.apply import apply

    applied = apply(plan, situation, purge=given["now"])
    _show_applied(applied, command, as_json)
    if failed := [stayed for stayed in applied.stayed if stayed.failed]:
        first = failed[0]
        raise ReelBenchError(
            f"{first.item} could not be moved: {first.why} ({len(failed)} in all)", "mend that, and plan anew"
        )


def undo(plan: str | None, command: str, as_json: bool) -> None:
    from reelbench.disk import recovery

    situation = _situation()
    done = recovery.undo(situation.store, situation.roots(), plan)
    if as_json:
        print_json(
            {"items": done.items, "bytes": done.bytes, "left": _pairs(done.left), "missing": _pairs(done.missing)}
        )
    else:
        for item in done.items:
            click.echo(f"back  {one_line(item)}")
        for item, lacks in done.missing:
            click.echo(f"incomplete {one_line(item)}  {one_line(lacks)}", err=True)
        for item, why in done.left:
            click.echo(f"stays {one_line(item)}  {why}" if item else why, err=True)
        click.echo(f"{human(done.bytes)} brought back" if done.items else "nothing was brought back")
    if failed := len(done.left) + len(done.missing):
        raise ReelBenchError(
            f"{failed} could not be brought back whole", f"'reelbench {command} trash' shows the trash"
        )


def _pairs(found: Iterable[tuple[str, str]]) -> list[list[str]]:
    return [list(one) for one in found]


def trash(empty: bool, older_than: float, plan: str | None, as_json: bool) -> None:
    from reelbench.disk import locks, recovery

    situation = _situation()
    roots = situation.roots()
    if empty:
        with locks.maintenance(situation.store):
            done = recovery.purge(situation.store, roots, plan, older_than)
        if as_json:
            print_json({"items": done.items, "bytes": done.bytes, "left": _pairs(done.left)})
        else:
            click.echo(f"{human(done.bytes)} deleted for good ({len(done.items)} items)")
        if done.left:
            raise ReelBenchError(f"{done.left[0][0]}: {done.left[0][1]}", "mend that, and run it again")
        return
    found = [entry for entry in recovery.entries(roots) if plan is None or (entry.record and entry.record.plan == plan)]
    if as_json:
        print_json([_entry(entry) for entry in found])
        return
    for entry in found:
        if (record := entry.record) is None:
            click.echo(f"{one_line(entry.path)}  {entry.problem}", err=True)
        else:
            click.echo(f"{record.plan}  {human(record.bytes):>9}  {record.when()}  {one_line(record.title)}")
    total = sum(entry.record.bytes for entry in found if entry.record)
    click.echo(f"{human(total)} in the trash")


def audit_log(names: tuple[str, ...], as_json: bool) -> None:
    from reelbench.disk import audit

    asked = [name.lower() for name in names] or [""]
    found = audit.lines(_situation().store)
    lines = [line for line in found if any(name in str(line["item"]).lower() for name in asked)]
    if as_json:
        print_json(lines)
        return
    for line in lines:
        size, item = human(int(line["bytes"])), one_line(str(line["item"]))
        click.echo(f"{line['when'][:19]}  {line['event']:<7}  {size:>9}  {item}  ({line['why']}; plan {line['plan']})")


def _situation() -> Situation:
    from reelbench import paths
    from reelbench.disk.apply import Situation

    return Situation.of(paths.store_dir())


def _plan(situation: Situation, policy: Policy) -> Plan:
    import shutil

    from reelbench.disk import planning

    references = situation.references()
    return planning.make(
        situation.inventory(), references, policy, situation.store, lambda path: shutil.disk_usage(path).free
    )


def _show_plan(plan: Plan, command: str, save: Path | None, as_json: bool) -> None:
    if as_json:
        from reelbench.disk.plan_file import as_json as plan_json

        print_json(plan_json(plan))
        return
    for planned in plan.items[:_SHOWN]:
        click.echo(
            f"{human(planned.frees):>9}  {one_line(planned.item.title)}  ({planned.item.root.cache}: {planned.why})"
        )
    if len(plan.items) > _SHOWN:
        click.echo(f"           … and {len(plan.items) - _SHOWN} more (--json shows all)")
    kept = Counter[str]()
    for one in plan.kept:
        kept[one.why.partition(":")[0]] += one.bytes
    for why, size in kept.most_common(6):
        click.echo(f"{human(size):>9}  stays: {why}")
    click.echo(f"{human(plan.bytes)} would go ({len(plan.items)} items); nothing was changed")
    if plan.items:
        click.echo(
            f"do it: reelbench {command} prune {f'--apply {save}' if save else '--yes, or --plan FILE and then --apply FILE'}"
        )


def _show_applied(applied: Applied, command: str, as_json: bool) -> None:
    if as_json:
        stayed = [{"item": one.item, "why": one.why, "failed": one.failed} for one in applied.stayed]
        print_json(
            {
                "plan": applied.plan,
                "gone": applied.gone,
                "stayed": stayed,
                "bytes": applied.bytes,
                "purged": applied.purged,
                "notes": applied.notes,
            }
        )
        return
    for note in applied.notes:
        click.echo(note, err=True)
    for item in applied.gone:
        click.echo(f"gone  {one_line(item)}")
    for one in applied.stayed:
        click.echo(f"stays {one_line(one.item)}  {one_line(one.why)}")
    click.echo(
        f"{human(applied.bytes)} moved to the trash ({len(applied.gone)} items), {human(applied.purged)} deleted for good"
    )
    if applied.gone and not applied.purged:
        click.echo(f"bring back: reelbench {command} undo   delete for good: reelbench {command} trash --empty")


def _entry(entry: Any) -> dict[str, Any]:
    record = entry.record
    where = {"root": str(entry.trash.root.path), "entry": entry.path, "problem": entry.problem}
    if record is None:
        return where
    return where | {
        "plan": record.plan,
        "item": record.item,
        "bytes": record.bytes,
        "when": record.when(),
        "why": record.why,
        "state": record.state,
    }


def _amount(value: Any, units: dict[str, Any], what: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]+)", str(value).strip())
    if found is None or found[2].lower() not in units:
        raise UsageError(f"'{value}' is not {what}")
    return float(found[1]) * float(units[found[2].lower()])
