"""The options of `psro run`: those of `RunConfig`, with defaults of a variant and of a file."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from psro.cli.process import UsageError
from psro.oracles import CONFIGS
from psro.runs.config import RunConfig, read_config
from psro.variants.published import VARIANTS


def _unchecked(config: type) -> type:
    """A config as typed: tyro would wrap the sentence of a failed check in internal names."""
    return type(
        f"_{config.__name__}",
        (config,),
        {"__post_init__": lambda self: None, "__doc__": config.__doc__},
    )


SETTINGS = {name: _unchecked(config) for name, config in CONFIGS.items()}
RunOptions = dataclasses.make_dataclass(
    "RunOptions",
    [(name, kind, dataclasses.field(default_factory=kind)) for name, kind in SETTINGS.items()],
    bases=(_unchecked(RunConfig),),
    frozen=True,
    kw_only=True,
)


def named_option(arguments: list[str], option: str) -> str | None:
    """What follows an option of `run` that must be known before the rest is parsed."""
    if arguments[:1] != ["run"]:
        return None
    for number, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}=")
        if argument == option and number + 1 < len(arguments):
            return arguments[number + 1]
    return None


def defaults_of(arguments: list[str]) -> RunOptions | None:
    """The settings that `--variant` and `--config` name among the arguments of `run`; None where
    there is neither."""
    name, file = named_option(arguments, "--variant"), named_option(arguments, "--config")
    if name is not None and name not in VARIANTS:
        near = difflib.get_close_matches(name, VARIANTS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"unknown variant {name!r}; {hint}known: {', '.join(VARIANTS)}")
    if name is None and file is None:
        return None
    fields = dict(VARIANTS[name].settings) if name else {}
    fields |= read_config(file) if file else {}
    return RunOptions(
        **{
            name: SETTINGS[name](**value) if name in SETTINGS else value
            for name, value in fields.items()
        }
    )


def typed(settings: Mapping[str, Any], prefix: str = "--") -> str:
    """Settings as they are typed."""
    return "\n".join(
        typed(value, f"{prefix}{name}.")
        if isinstance(value, Mapping)
        else f"{prefix}{name.replace('_', '-')}{'' if value is True else f' {value}'}"
        for name, value in settings.items()
    )
