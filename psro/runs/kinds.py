"""Which plug-ins are known, and what an oracle is like, by names alone: JAX is imported only for
names that are not the package's own."""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Collection, Mapping
from typing import Any

from games import plugins
from psro import oracles
from psro.errors import SettingsError
from psro.oracles.checks import check_types
from psro.oracles.settings import CONFIGS, ENUMERATED, ON_FORMS, TABULAR


def known_oracles(name: str) -> Collection[str]:
    """The known oracles. `ORACLES` imports JAX, and plotting a saved run does not need JAX. So
    `ORACLES` is read only if the name is not the package's own."""
    if name in (built_in := [*CONFIGS, *TABULAR]):
        return built_in
    return with_plugin("psro.oracles", name, oracles.ORACLES)


def with_plugin(group: str, name: Any, known: dict[str, Any]) -> Collection[str]:
    """A dict of plug-ins, with that of an installed package if it lacks the name."""
    if isinstance(name, str) and name.isidentifier() and name not in known:
        plugins.find(group, name, known)
    return known


def is_tabular(oracle: str) -> bool:
    """Whether an oracle's policies are tables."""
    return oracle in TABULAR if _is_built_in(oracle) else oracles.ORACLES[oracle].tabular


def is_conditional(oracle: str) -> bool:
    """Whether an oracle's policies are one network with an input that says which one to play."""
    return oracle == "conditional" if _is_built_in(oracle) else oracles.ORACLES[oracle].conditional


def is_world_model(oracle: str) -> bool:
    """Whether the networks of an oracle's policies are models of the world."""
    if _is_built_in(oracle):
        return oracle == "dreamer"
    return getattr(oracles.ORACLES[oracle], "world_model", False)


def is_enumerated(oracle: str) -> bool:
    """Whether an oracle needs a game that is enumerated, or at least measured exactly."""
    return oracle in ENUMERATED if _is_built_in(oracle) else oracles.ORACLES[oracle].enumerated


def works_on_forms(oracle: str) -> bool:
    """Whether an oracle that needs exact figures works where the game is not enumerated."""
    if _is_built_in(oracle):
        return oracle in ON_FORMS
    return getattr(oracles.ORACLES[oracle], "on_form", None) is not None


def _is_built_in(oracle: str) -> bool:
    """Whether the name is the package's own, and no other package can have replaced it yet."""
    known = sys.modules.get("psro.oracles.known")
    return known is None and oracle in (*CONFIGS, *TABULAR)


def settings_of_own(oracle: str) -> type[Any] | None:
    """The dataclass of the settings of an oracle from outside the package; None if it has none."""
    if oracle in (*CONFIGS, *TABULAR):
        return None
    return getattr(oracles.ORACLES[oracle], "settings", None)


def own_settings_of(oracle: str, given: Any) -> Any:
    """The settings of an oracle from outside the package, from a value of its dataclass or a table.
    Raises SettingsError if they are not valid."""
    kind = settings_of_own(oracle)
    if kind is None:
        if given is not None:
            raise SettingsError(f"settings = {given!r}, and oracle {oracle} has no settings of one")
        return None
    if isinstance(given, kind):
        return given
    if given is not None and not isinstance(given, Mapping):
        raise SettingsError(f"settings = {given!r} must be a {kind.__name__}")
    check_names(kind, given or {}, f"{oracle}.")
    try:
        made = kind(**(given or {}))
        check_types(made, f"{oracle}.")
    except (TypeError, ValueError) as error:
        raise SettingsError(f"settings of oracle {oracle}: {error}") from None
    return made


def check_names(config: type, fields: Mapping[str, Any], prefix: str = "") -> None:
    """Raises SettingsError for a name that is not a setting."""
    names = [field.name for field in dataclasses.fields(config)]
    for name in fields:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"{prefix}{name} is not a setting{hint}")
