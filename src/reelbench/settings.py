"""Checks settings against the signature of the class that a configuration node names, before it is built.

A class says what it takes by its annotations: ``batch: PositiveInt`` is all that it needs to say. No list of settings is kept
anywhere. `check_node` goes over a node and all nodes within it, and names the first key that is unknown or has a wrong value.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import SchemaError

from reelbench.encoding import readable_values
from reelbench.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1."""

_A_NODE = "it should be a class and its settings (_target_: …)"
_HYDRA = frozenset({"_target_", "_convert_", "_recursive_", "_partial_", "_args_"})


@dataclass(frozen=True)
class FieldsOf:
    """Says of a mapping what its keys are: ``Annotated[Mapping[str, Any], FieldsOf(Sampling)]`` holds arguments of Sampling."""

    built: Any


def check_node(node: Mapping[str, Any], where: str) -> None:
    """Check the arguments of the node's ``_target_``, which ``where`` names in messages ('analyzer.engine').

    Raises ConfigError with one line that names the key, what is allowed, and the nearest name where it is misspelt.
    """
    target = _located(node, where)
    if target is not None:
        _check_arguments(target, {key: value for key, value in node.items() if key not in _HYDRA}, where)


def settings_of(node: Any, where: str) -> Iterator[str]:
    """The full names of all settings that the node, and the nodes within it, could be given."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        return
    for name, parameter in _parameters(_located(node, where)).items():
        key = f"{where}.{name}"
        yield key
        if built := _fields_of(parameter.annotation):
            yield from (f"{key}.{inner}" for inner in _parameters(built))
        yield from settings_of(node.get(name), key)


def did_you_mean(wrong: str, known: Iterable[str], *, listed: bool = True) -> str:
    """A hint: the known name that is nearest to the wrong one, and all known ones where they are to be ``listed``."""
    names = list(known)
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    words = [f"did you mean '{near[0]}'?"] if near else []
    if listed and names:
        words.append(f"there are: {', '.join(names)}")
    return " ".join(words)


def shown(value: Any) -> str:
    """A value as it is written on the command line, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, str) else f"'{value}'"
    return text if len(text) <= 60 else f"{text[:57]}…"


def wrong_value(key: str, value: Any, problem: str) -> str:
    """One line for a value that a type refused; ``problem`` is pydantic's message."""
    said = problem.removeprefix("Value error, ").replace("Input should", "it should")
    if not said.startswith("it "):
        return f"{key} is {shown(value)}: {said}"
    return f"{key} is {shown(value)}: {said.split(', unable to parse')[0]}"


def _located(node: Mapping[str, Any], where: str) -> Any:
    from hydra.utils import get_object

    target = node.get("_target_")
    if not isinstance(target, str):
        raise ConfigError(f"{where}._target_ is {shown(target)}, which names no class", "name a class by its module")
    try:
        found = get_object(target)
    except Exception as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"{where}._target_ is '{target}': {reason}", "name a class by its module") from error
    if not callable(found):
        raise ConfigError(f"{where}._target_ is '{target}', which is no class", "name a class by its module")
    return found


def _check_arguments(target: Any, given: Mapping[str, Any], where: str) -> None:
    parameters = _parameters(target)
    # Plain values first: what lies within a node may only refer to them (`batch: ${analyzer.batch}`).
    for key, value in sorted(given.items(), key=lambda item: _holds_nodes(item[1])):
        full = f"{where}.{key}"
        if key not in parameters:
            if _takes_any(target):
                continue
            hint = did_you_mean(str(key), parameters)
            raise ConfigError(f"there is no setting {full}", hint or f"{where} takes no settings")
        _check_value(parameters[key].annotation, value, full)


def _check_value(annotation: Any, value: Any, where: str) -> None:
    if (built := _fields_of(annotation)) is not None and isinstance(value, Mapping):
        _check_arguments(built, value, where)
    elif isinstance(value, Mapping) and "_target_" in value:
        check_node(value, where)
    elif _holds_nodes(value):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, one in items:
            _check_value(Any, one, f"{where}.{name}")
    else:
        _check_plain(annotation, value, where)


def _check_plain(annotation: Any, value: Any, where: str) -> None:
    """A value of YAML against an annotation, strictly: no text where a number is wanted, no 1 for true.

    pydantic's rules for JSON are those of YAML: a list may be a tuple, a text a path, a whole number a float.
    """
    if annotation in (Any, inspect.Parameter.empty):
        return
    try:
        try:
            adapter = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
        except PydanticUserError:  # it has a configuration of its own: a dataclass or a model
            adapter = TypeAdapter(annotation)
        # JSON knows no names that are not UTF-8; here only their type counts.
        adapter.validate_json(json.dumps(readable_values(value), default=str), strict=True)
    except SchemaError:  # a protocol: only a node can build what fits it
        if not (isinstance(value, list) or (value is None and type(None) in get_args(annotation))):
            raise ConfigError(f"{where} is {shown(value)}: {_A_NODE}") from None
    except ValidationError as error:
        place, wrong, said = first_problem(error, value)
        key = ".".join([where, *place])
        if error.errors()[0]["type"] == "needs_python_object":
            raise ConfigError(f"{key} is {shown(wrong)}: {_A_NODE}") from None
        raise ConfigError(wrong_value(key, wrong, said)) from error


def first_problem(error: Any, whole: Any) -> tuple[list[str], Any, str]:
    """Where pydantic's first problem lies in the ``whole`` value, the value there, and what is wrong with it.

    pydantic's own place also names the members of unions, which are no keys: only what leads into the value is kept.
    """
    problems = [(_place(one, whole), one) for one in error.errors(include_url=False)]
    where, first = problems[0]
    said = dict.fromkeys(str(one["msg"]) for place, one in problems if place == where)
    return where, first["input"], " or ".join(said)


def _place(problem: Mapping[str, Any], value: Any) -> list[str]:
    kept = []
    for part in problem["loc"]:
        if (isinstance(value, Mapping) and part in value) or (
            isinstance(value, list | tuple) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]
        elif problem["type"] != "missing" or part != problem["loc"][-1]:
            continue
        kept.append(str(part))
    return kept


def _holds_nodes(value: Any) -> bool:
    """Whether a node that names a class lies anywhere within."""
    if isinstance(value, Mapping):
        return "_target_" in value or any(_holds_nodes(one) for one in value.values())
    return isinstance(value, list) and any(_holds_nodes(one) for one in value)


def _fields_of(annotation: Any) -> Any:
    """The class whose arguments a mapping holds, also where null is allowed instead."""
    if isinstance(annotation, type):
        return annotation if dataclasses.is_dataclass(annotation) else None
    if get_origin(annotation) is Annotated:
        return next((one.built for one in annotation.__metadata__ if isinstance(one, FieldsOf)), None)
    return next((found for one in get_args(annotation) if (found := _fields_of(one)) is not None), None)


def _parameters(target: Any) -> dict[str, inspect.Parameter]:
    """What can be given by name, with annotations as types (they are texts in most modules)."""
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return {}
    try:
        called = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
        hints = get_type_hints(called, include_extras=True)
    except NameError:  # an annotation that only a type checker can read
        hints = {}
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name: parameter.replace(annotation=hints.get(name, Any))
        for name, parameter in signature.parameters.items()
        if parameter.kind in by_name
    }


def _takes_any(target: Any) -> bool:
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
