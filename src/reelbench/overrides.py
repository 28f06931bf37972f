"""Says in one line what is wrong with the settings of a command line, where Hydra could not compose them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from reelbench.errors import ConfigError
from reelbench.paths import conf_dir
from reelbench.settings import did_you_mean, settings_of

SEARCHED = "hydra.searchpath="
_HELP = "python run.py --help shows every setting and choice"
_QUOTES = """settings are key=value; a value with special characters wants quotes: 'key="~/my clips"'"""


@contextmanager
def initialized() -> Iterator[None]:
    """Hydra made ready for all that is composed within; nothing where it is ready already."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    if GlobalHydra.instance().is_initialized():
        yield
        return
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


@contextmanager
def one_line_errors(overrides: Sequence[str] = ()) -> Iterator[None]:
    """Turn Hydra's and OmegaConf's errors about ``overrides`` into one ConfigError that says what there is instead."""
    from hydra.core.override_parser.overrides_parser import OverrideParseException
    from hydra.errors import HydraException
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    try:
        yield
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key} is not given", f"add {error.full_key}=…") from error
    except OverrideParseException as error:
        raise ConfigError(f"cannot read '{error.override}': {_short(str(error))}", _QUOTES) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise _explained(error, overrides) from error
    except ValueError as error:
        # Hydra says this of a choice that is null or a number; any other ValueError is not about settings.
        if (wrong := _no_choice(overrides)) is None:
            raise
        raise wrong from error


def group_options(group: str, overrides: Sequence[str] = ()) -> list[str]:
    """What there is to choose of ``group`` ('corpus'), on the search path and what ``overrides`` add to it."""
    from hydra.core.global_hydra import GlobalHydra

    searched = [item for item in overrides if item.startswith(SEARCHED)]
    with initialized():
        loader = GlobalHydra.instance().config_loader()
        return [str(name) for name in loader.get_group_options(group, config_name="config", overrides=searched)]


def _explained(error: Exception, overrides: Sequence[str]) -> ConfigError:
    from hydra.errors import MissingConfigException

    if (wrong := _no_choice(overrides)) is not None:
        return wrong
    text = str(error)
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return ConfigError(f"there is no {group} '{name}'", did_you_mean(name, error.options))
    if found := re.search(r"Could not append to config\. An item is already at '([^']+)'", text):
        return ConfigError(f"{found[1]} is a setting that exists", f"leave out the plus: {found[1]}=…")
    if found := re.search(r"Could not (override|append|delete)[^']*'([^']+)'", text):
        return _no_such_key(found[2], overrides)
    return ConfigError(_short(text), _HELP)


def _no_choice(overrides: Sequence[str]) -> ConfigError | None:
    """The first choice of a group that names nothing: ``variant=null``, ``corpus=[a,b]``."""
    for one in _parsed(overrides):
        key, value = str(one.key_or_group), one.value()
        if not key:
            return ConfigError(f"'{one.input_line}' has no key", _QUOTES)
        if one.is_delete() or isinstance(value, str) or "." in key or one.is_sweep_override():
            continue
        if key == "variant":
            return ConfigError(f"variant={_written(one)} names no variant", _names(_variants(overrides)))
        if options := group_options(key, overrides):
            return ConfigError(f"{key}={_written(one)} names no {key}", _names(options))
    return None


def _no_such_key(key: str, overrides: Sequence[str]) -> ConfigError:
    """A key that is misspelt, or one that may be added: Hydra advises '+key' for both, and it only works for the second."""
    settings = _known_settings(overrides)
    added = settings["addable"]
    if key in added:
        return ConfigError(f"{key} has no value in the configuration yet", f"add it: +{key}=…")
    known = [*settings["present"], *added, "analyzer", "variant", "corpus", "measure"]
    nearest = did_you_mean(key, known, listed=False)
    if not nearest and "." in key:  # the neighbours of a key whose last part is far from all
        parent = key.rpartition(".")[0]
        beside = [name for name in known if name.rpartition(".")[0] == parent]
        nearest = f"{parent} has: {', '.join(name.rpartition('.')[2] for name in beside)}" if beside else ""
    return ConfigError(f"there is no setting '{key}'", nearest or _HELP)


def _known_settings(overrides: Sequence[str]) -> dict[str, list[str]]:
    """The settings of the composed choices alone: ``present`` ones, and those that a class takes and no file names."""
    from hydra import compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    choices = [
        one.input_line
        for one in _parsed(overrides)
        if "." not in one.key_or_group or one.input_line.startswith(SEARCHED)
    ]
    with initialized():
        for tried in (choices, []):
            try:
                composed = OmegaConf.to_container(compose("config", overrides=tried), resolve=False)
            except (HydraException, OmegaConfBaseException, ValueError):
                continue
            assert isinstance(composed, dict)
            present = list(_keys(composed))
            taken = [name for key, node in composed.items() for name in settings_of(node, str(key))]
            return {"present": present, "addable": [name for name in taken if name not in present]}
    return {"present": [], "addable": []}


def _variants(overrides: Sequence[str]) -> list[str]:
    chosen = [one.value() for one in _parsed(overrides) if one.key_or_group == "analyzer"]
    return group_options(f"tuning/{chosen[-1] if chosen else 'object_detection'}", overrides)


def _parsed(overrides: Sequence[str]) -> Iterator[Any]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    for text in overrides:
        try:
            yield parser.parse_override(text)
        except HydraException:
            continue  # said by Hydra itself


def _keys(node: Mapping[Any, Any], before: str = "") -> Iterator[str]:
    for key, value in node.items():
        if str(key).startswith("_"):
            continue
        yield f"{before}{key}"
        if isinstance(value, Mapping):
            yield from _keys(value, f"{before}{key}.")


def _written(override: Any) -> str:
    return str(override.input_line).partition("=")[2] or "''"


def _names(options: Sequence[str]) -> str:
    return f"there are: {', '.join(options)}"


def _short(text: str) -> str:
    for noise in ("Config search path:", "full_key:", "Set the environment variable", "See https://", "object_type="):
        text = text.split(noise)[0]
    return " ".join(text.split()).rstrip(".,")
