"""Every setting of every shipped configuration is typed: a wrong one is a line that names it, whatever class takes it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from reelbench.config import compose, group_options, initialized, instantiate, validate
from reelbench.errors import ConfigError
from reelbench.load.config import compose_load
from reelbench.system.config import compose_system

from .conftest import Run

Place = tuple[Any, ...]
SIGNED = {"seed", "silence_db", "floor_db", "mean"}
"""Settings of which a negative number makes sense."""


def leaves(node: Any, path: Place = ()) -> Iterator[tuple[Place, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from leaves(value, (*path, number))
    else:
        yield path, node


def changed(node: Any, path: Place, value: Any) -> Any:
    whole = copy.deepcopy(node)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return whole


def wrong(value: Any) -> Any:
    """A value of another type, as a slip on the command line gives it."""
    return {"not": "this"} if isinstance(value, str) else "abc"


def said(container: dict[str, Any], variant: str) -> ConfigError | None:
    try:
        config = validate(container, variant)
        for node in (config.analyzer.constructor, config.quality, config.corpus):
            instantiate(node)  # whose class may know more of what makes sense
    except ConfigError as error:
        assert error.exit_code == 2 and "\n" not in error.message
        return error
    return None


def shipped() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every variant of every analyzer, and every corpus, as composed containers."""
    with initialized():
        for analyzer in group_options("analyzer"):
            for variant in group_options(f"tuning/{analyzer}"):
                config = compose([f"analyzer={analyzer}", f"variant={variant}"])
                yield f"{analyzer}/{variant}", variant, config.model_dump(mode="json", by_alias=True)
        for corpus in group_options("corpus"):
            path = ["corpus.path=clips"] if corpus == "folder" else []
            config = compose([f"corpus={corpus}", *path])
            yield f"corpus {corpus}", "optimized", config.model_dump(mode="json", by_alias=True)


def test_a_wrong_value_of_any_setting_is_a_line_that_names_it() -> None:
    tried: set[tuple[str, str]] = set()
    missed = []
    for name, variant, container in shipped():
        del container["variant"]
        for path, value in leaves(container):
            key = ".".join(map(str, path))
            if value is None or path[-1] == "_convert_" or (key, str(value)) in tried:
                continue
            tried.add((key, str(value)))
            error = said(changed(container, path, wrong(value)), variant)
            if error is None or key not in str(error):
                missed.append(f"{name}: {key}={value!r}: {error}")
            negative = isinstance(value, int | float) and not isinstance(value, bool) and path[-1] not in SIGNED
            if negative and said(changed(container, path, -1_000_000), variant) is None:
                missed.append(f"{name}: {key}=-1000000 is taken")
    assert len(tried) > 300
    assert not missed, "\n".join(missed)


MISSPELT = (
    ("analyzer=objct_detection", "'objct_detection'", "did you mean 'object_detection'?"),
    ("variant=optimised", "'optimised'", "did you mean 'optimized'?"),
    ("variant=null", "variant=null", "there are: baseline, "),
    ("corpus=dmeo", "'dmeo'", "did you mean 'demo'?"),
    ("measure=qick", "'qick'", "did you mean 'quick'?"),
    ("analzyer.batch=3", "'analzyer.batch'", "did you mean 'analyzer.batch'?"),
    ("media.decode.thread=3", "'media.decode.thread'", "did you mean 'media.decode.threads'?"),
    ("+media.decode.thread=3", "'media.decode.thread'", "did you mean 'threads'?"),
    ("+analyzer.batchh=3", "analyzer.batchh", "did you mean 'batch'?"),
    ("+analyzer.sampling.rte=3", "analyzer.sampling.rte", "did you mean 'rate'?"),
    ("~analyzer.batchh", "'analyzer.batchh'", "did you mean 'analyzer.batch'?"),
    ("analyzer.engine=abc", "analyzer.engine is 'abc'", ""),
    ("analyzer.batch=true", "analyzer.batch is true", ""),
    ("media.decode.threads=-3", "media.decode.threads is -3: it should be greater than or equal to 0", ""),
    ("tuning=x", "tuning=x", "variant="),
    ("quality._target_=abc", "quality._target_", ""),
)


@pytest.mark.parametrize(("setting", "names", "advises"), MISSPELT, ids=[row[0] for row in MISSPELT])
def test_a_slip_is_named_and_put_right_wherever_settings_are_taken(setting: str, names: str, advises: str) -> None:
    with pytest.raises(ConfigError) as raised:
        compose([setting])
    assert names in raised.value.message and advises in raised.value.hint, str(raised.value)
    if setting.startswith(("corpus", "measure", "media")):
        with pytest.raises(ConfigError) as raised:
            compose_system([setting])
        assert names in raised.value.message and advises in raised.value.hint, str(raised.value)


def test_advice_to_add_a_setting_is_only_given_where_adding_it_works() -> None:
    with pytest.raises(ConfigError, match=r"\+analyzer\.architecture=…"):
        compose(["analyzer.architecture=yolo11n.yaml"])
    assert compose(["+analyzer.architecture=yolo11n.yaml"]).analyzer.constructor["architecture"] == "yolo11n.yaml"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("system=basline", "did you mean 'baseline'?"),
        ("system.retires=2", "did you mean 'system.retries'?"),
        ("system.retries=abc", "system.retries is 'abc'"),
        ("plan=null", "plan=null names no plan"),
        ("plan.cores=-1", "plan.cores is -1"),
        ("+plan.order.stagess=1", "there is no setting plan.order.stagess"),
        ("system.leave_out=[text_overly]", "did you mean 'text_overlay'?"),
    ],
)
def test_settings_of_the_system_and_of_a_load(setting: str, says: str) -> None:
    for composed in (compose_system, compose_load):
        with pytest.raises(ConfigError) as raised:
            composed([setting])
        assert says in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("scenario=servr", "did you mean 'server'?"),
        ("load.querys=3", "did you mean 'load.queries'?"),
        ("load.queries=-3", "load.queries is -3"),
    ],
)
def test_settings_of_a_load(setting: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        compose_load([setting])
    assert says in str(raised.value)


def test_commands_say_it_in_two_lines(run: Run) -> None:
    for program, arguments in (
        ("run.py", ["analzyer.batch=3"]),
        ("run.py", ["--multirun", "variant=null"]),
        ("reelbench", ["ab", "a=baseline", "b=optimized analyzer.batch=abc"]),
        ("reelbench", ["ab", "system", "a=orignal", "b=optimized"]),
        ("reelbench", ["gate", "--against", "HEAD", "defualt"]),
        ("reelbench", ["gate", "--against", "HEAD", "--uncalibrated", "media.decode.threads=-3"]),
    ):
        done = run(*arguments, program=program)
        assert done.returncode == 2, (arguments, done.stderr)
        assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) <= 2, done.stderr
