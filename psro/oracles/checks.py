"""Checks of the settings of oracles and runs. Each raises SettingsError with the name and the value
of a setting that is not valid."""

from __future__ import annotations

import dataclasses
import sys

from psro.errors import SettingsError


def check_positive(oracle: str, config: object, *names: str) -> None:
    """Raises SettingsError with the setting's name if a setting is not above zero."""
    for name in names:
        if not getattr(config, name) > 0:
            raise SettingsError(f"{oracle}.{name} = {getattr(config, name)} must be above 0")


def check_not_negative(oracle: str, config: object, *names: str) -> None:
    for name in names:
        if not getattr(config, name) >= 0:
            raise SettingsError(f"{oracle}.{name} = {getattr(config, name)} must be at least 0")


def check_shares(oracle: str, config: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(config, name) <= 1:
            raise SettingsError(
                f"{oracle}.{name} = {getattr(config, name)} must be between 0 and 1"
            )


def check_types(config: object, prefix: str = "") -> None:
    """Raises SettingsError if a field that is annotated `int`, `float`, `bool`, `str`,
    `float | None` or `str | None` has a value of another type. The message writes `prefix`, for
    example `ppo.`, before the field's name."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        kinds, what = {
            "int": (int, "a whole number"),
            "float": ((int, float), "a number"),
            "int | None": ((int, type(None)), "a whole number"),
            "float | None": ((int, float, type(None)), "a number"),
            "bool": (bool, "true or false"),
            "str": (str, "a string"),
            "str | None": ((str, type(None)), "a string"),
        }.get(field.type, (object, ""))
        if not isinstance(value, kinds) or (
            isinstance(value, bool) and field.type != "bool" and what
        ):
            raise SettingsError(f"{prefix}{field.name} = {value!r} must be {what}")
        if what == "a number" and value is not None and not abs(value) <= sys.float_info.max:
            raise SettingsError(f"{prefix}{field.name} = {value} must be finite")


def check_multiples(oracle: str, config: object, *pairs: tuple[str, str]) -> None:
    for whole, part in pairs:
        if getattr(config, whole) % getattr(config, part):
            raise SettingsError(
                f"{oracle}.{whole} = {getattr(config, whole)} is not a multiple of "
                f"{oracle}.{part} = {getattr(config, part)}"
            )
