"""The file of a sweep: which runs it has.

seeds = 3                       # or a list
draws = 20                      # how often [random] is drawn; by default once

[run]                           # settings of all runs
iterations = 20

[grid]                          # every combination
game = ["kuhn_poker", "leduc_poker"]
variant = ["psro", "psro_rn"]
"ppo.learning_rate" = [1e-3, 3e-3]

[random]                        # drawn anew for each draw
"ppo.entropy_weight" = { low = 1e-3, high = 1e-1, scale = "log" }
hidden_size = { low = 16, high = 64 }
cell = ["lstm", "gru"]
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from psro.errors import PsroError
from psro.runs import storage
from psro.runs.config import RunConfig
from psro.variants.published import VARIANTS, unknown_variant

MAX_BYTES = 1 << 20
MAX_RUNS = 10_000
"""Most runs of a sweep."""
_TABLES = ("run", "grid", "random")
_NUMBERS = ("seeds", "draws", "draw_seed")
_SCALES = ("linear", "log")


class SweepError(PsroError):
    """A file of a sweep that cannot be read, or a combination that cannot run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Combination:
    """The runs of a sweep that differ only in their seeds.

    Attributes:
        number: its place.
        varied: its settings that the sweep varies, by name, such as `ppo.learning_rate`.
        config: of its runs; the seed does not count.
    """

    number: int
    varied: dict[str, Any]
    config: RunConfig

    @property
    def label(self) -> str:
        """What tells it apart, in words."""
        return ", ".join(f"{name} {shown(value)}" for name, value in self.varied.items()) or "run"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweep:
    """All runs of a file.

    Attributes:
        name: the file's, without its ending.
        combinations: with all their settings.
        seeds: of each combination.
        digest: SHA-256 of everything that the results depend on.
    """

    name: str
    combinations: tuple[Combination, ...]
    seeds: tuple[int, ...]
    digest: str


def shown(value: Any) -> str:
    """A setting's value for readers."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read_sweep(path: str | os.PathLike, imports: Sequence[str] = ()) -> Sweep:
    """The runs of a TOML file.

    Args:
        path: the file.
        imports: modules that all runs need beside those that the file names.

    Raises:
        SweepError: it cannot be read, or a setting is not valid. The sentence names the
            combination.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise SweepError(f"cannot read {path}: there is no such file")
        fields = tomllib.loads(storage.read_bytes(path.resolve(), MAX_BYTES).decode())
    except OSError as error:
        raise SweepError(f"cannot read {path}: {error.strerror}") from None
    except RecursionError:
        raise SweepError(f"{path}: its brackets nest too deep") from None
    except (ValueError, storage.Damaged) as error:
        if isinstance(error, SweepError):
            raise
        raise SweepError(f"{path} is no TOML file: {storage.sentence(error)}") from None
    try:
        return _sweep(path.stem, fields, imports)
    except SweepError as error:
        raise SweepError(f"{path}: {error}") from None


def _sweep(name: str, fields: Mapping[str, Any], imports: Sequence[str]) -> Sweep:
    for key, value in fields.items():
        if key not in (*_TABLES, *_NUMBERS):
            raise SweepError(
                f"{key[:80]!r} is not known; a sweep has {', '.join((*_NUMBERS, *_TABLES))}"
            )
        if key in _TABLES and not isinstance(value, dict):
            raise SweepError(f"{key} must be a table")
    common, grid, random = (_flat(fields.get(table, {})) for table in _TABLES)
    if imports and isinstance(common.get("imports", []), list):
        common["imports"] = list(dict.fromkeys([*common.get("imports", []), *imports]))
    seeds = _seeds(fields.get("seeds", 1), common.pop("seed", 0))
    for one, other in itertools.combinations((common, grid, random), 2):
        if twice := sorted(one.keys() & other.keys()):
            raise SweepError(f"{twice[0]} is given twice")
    if "seed" in grid or "seed" in random:
        raise SweepError("seeds are given by `seeds`, a number or a list")
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise SweepError(f"grid: {key} must be a list of values")
    draws = _count(fields, "draws", 1)
    if draws > 1 and not random:
        raise SweepError(f"draws = {draws}, and there is nothing to draw: add a table [random]")
    size = math.prod(map(len, grid.values())) * draws * len(seeds)
    if size > MAX_RUNS:
        raise SweepError(f"it has {size:,} runs, more than {MAX_RUNS:,}")
    rng = np.random.default_rng(_count(fields, "draw_seed", 0, least=0))
    drawn = [{key: _drawn(key, rule, rng) for key, rule in random.items()} for _ in range(draws)]
    combinations = []
    for chosen in itertools.product(*grid.values()):
        for more in drawn:
            varied = dict(zip(grid, chosen, strict=True)) | more
            number = len(combinations)
            config = _config(common | varied, number, varied)
            combinations.append(Combination(number=number, varied=varied, config=config))
    content = json.dumps(fields, sort_keys=True, default=str)
    return Sweep(
        name=name,
        combinations=tuple(combinations),
        seeds=tuple(seeds),
        digest=hashlib.sha256(content.encode()).hexdigest(),
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted names. A table with `low` is a rule of [random]."""
    flat = {}
    for name, value in table.items():
        inner = isinstance(value, dict) and "low" not in value
        flat |= _flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return flat


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *above, last = name.split(".")
        inner = nested
        for part in above:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise SweepError(f"{name} is within another setting")
        inner[last] = value
    return nested


def _config(settings: Mapping[str, Any], number: int, varied: Mapping[str, Any]) -> RunConfig:
    settings = dict(settings)
    variant = settings.pop("variant", None)
    try:
        if variant is not None and variant not in VARIANTS:
            raise SweepError(unknown_variant(variant))
        base = VARIANTS[variant].settings if variant is not None else {}
        return RunConfig.from_json(_merged(base, _nested(settings)))
    except PsroError as error:
        told = ", ".join(f"{key} {shown(value)}" for key, value in varied.items())
        where = f"combination {number + 1} ({told})" if told else "its settings"
        raise SweepError(f"{where}: {storage.sentence(error)}") from None


def _merged(settings: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(settings)
    for name, value in more.items():
        before = result.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        result[name] = _merged(before, value) if both else value
    return result


def _seeds(value: Any, first: Any) -> list[int]:
    if type(first) is not int:
        raise SweepError(f"seed = {first!r} must be a whole number")
    if type(value) is int and 1 <= value <= MAX_RUNS:
        return list(range(first, first + value))
    if isinstance(value, list) and value and all(type(seed) is int for seed in value):
        if len(set(value)) < len(value):
            raise SweepError("a seed is given twice")
        if not all(0 <= seed < 2**32 for seed in value):
            raise SweepError("seeds must be between 0 and 2**32 - 1")
        return value
    raise SweepError(f"seeds = {str(value)[:80]} must be a number of seeds from 1, or a list")


def _count(fields: Mapping[str, Any], name: str, default: int, least: int = 1) -> int:
    value = fields.get(name, default)
    if type(value) is not int or not least <= value < 2**32:
        raise SweepError(f"{name} = {str(value)[:80]} must be a whole number from {least}")
    return value


def _drawn(name: str, rule: Any, rng: np.random.Generator) -> Any:
    """A value by a rule: one of a list, or a number between `low` and `high`."""
    if isinstance(rule, list) and rule:
        return rule[int(rng.integers(len(rule)))]
    if not isinstance(rule, dict):
        raise SweepError(
            f'random: {name} must be a list, or {{ low = .., high = .., scale = "log" }}'
        )
    low, high, scale = rule.get("low"), rule.get("high"), rule.get("scale", "linear")
    wrong = rule.keys() - {"low", "high", "scale"}
    numbers = all(type(end) in (int, float) and abs(end) < 1e300 for end in (low, high))
    if wrong or not numbers or not low < high or scale not in _SCALES:
        raise SweepError(
            f"random: {name} needs low below high, both numbers, and scale linear or log"
        )
    if scale == "log" and not low > 0:
        raise SweepError(f"random: {name} has low = {low}, and scale log needs numbers above 0")
    if type(low) is int and type(high) is int:
        if abs(low) > 2**53 or abs(high) > 2**53:
            raise SweepError(f"random: {name} has ends beyond 2**53")
        if scale == "log":
            drawn = math.exp(rng.uniform(math.log(low), math.log(high + 1)))
            return min(int(drawn), high)
        return int(rng.integers(low, high + 1))
    if scale == "log":
        return float(math.exp(rng.uniform(math.log(low), math.log(high))))
    return float(rng.uniform(low, high))


def names_of(combinations: Sequence[Combination]) -> list[str]:
    """The names of all settings that are varied, in order."""
    return list(dict.fromkeys(name for one in combinations for name in one.varied))
