"""What the protocol consists of: games, methods, units of work and shards. No JAX is imported."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from psro.errors import PsroError
from psro.runs.config import RunConfig
from psro.variants.expansions import EXPANSIONS
from psro.variants.published import VARIANTS

TUNING, REPORTED = "tuning", "reported"
ENFORCED = {"evaluation": "sampled", "tolerance": 0.0}
"""No method sees anything exact while it trains, and none stops before its budget."""
ONE_BEST_RESPONSE = ("best_response", "bundle")
"""Expansions that train one best response for each player in an iteration."""
OF_THE_UNIT = ("game", "iterations", "seed", "horizon")
"""Settings that a method does not have of its own."""
OF_THE_BUDGET = ("decisions_per_iteration", "horizon_share")
"""What a method, or one of its candidates, says beside settings of a run."""


class ProtocolError(PsroError):
    """The files of the protocol do not fit together. One sentence says why."""


class UnknownVariant(ProtocolError):
    """A method is of a variant that this version does not have."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unit:
    """One run with its measurement.

    Attributes:
        stage: `tuning` or `reported`.
        game: the game's key in protocol.toml.
        name: its name in `psro run`.
        method: the method's name; in tuning with the candidate's number.
        seed: of the run.
        budget: own decisions of learners, both players together.
        points: iterations that are measured exactly.
        exploiter_decisions: own decisions of each exploiter; 0 = none.
        settings: of the run, by the names of `RunConfig`.
        decisions_per_iteration: where the expansion does not say it.
        horizon_share: the setting `horizon` as a share of the iterations; by default all of them.
    """

    stage: str
    game: str
    name: str
    method: str
    seed: int
    budget: int
    points: int
    exploiter_decisions: int
    settings: Mapping[str, Any]
    decisions_per_iteration: int | None = None
    horizon_share: float | None = None

    @property
    def checksum(self) -> str:
        """Of everything that the result depends on beside the seed and the package."""
        fields = dataclasses.asdict(self)
        return checksum({k: v for k, v in fields.items() if k not in ("stage", "game", "seed")})

    @property
    def key(self) -> tuple[str, str, int]:
        return self.game, self.method, self.seed

    def folder(self, runs: Path) -> Path:
        return runs / self.stage / self.game / f"{self.method}-{self.seed}-{self.checksum[:8]}"

    def config(self) -> RunConfig:
        """The run's config. Its iterations are what the budget has room for."""
        config = RunConfig.from_json({**self.settings, "game": self.name, "seed": self.seed})
        an_iteration = self.decisions_per_iteration or decisions_per_iteration(config)
        if an_iteration > self.budget:
            raise ProtocolError(
                f"an iteration of {self.method} takes {an_iteration:,} decisions, and the budget "
                f"on {self.game} is {self.budget:,}"
            )
        iterations = self.budget // an_iteration
        horizon = iterations if self.horizon_share is None else self.horizon_share * iterations
        return dataclasses.replace(config, iterations=iterations, horizon=max(1, round(horizon)))


def checksum(content: Any) -> str:
    """SHA-256 of a JSON value, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def decisions_per_iteration(config: RunConfig) -> int:
    """Own decisions of both learners in one iteration of a run in a game that is measured by
    episodes."""
    learner = getattr(config, config.self_play)
    together = 2 * learner.num_updates * learner.num_envs * learner.rollout_length
    if config.expansion == "self_play":
        return together
    oracle, uses = getattr(config, config.oracle).for_sampled_game(), EXPANSIONS[config.expansion]
    best_responses = 2 * oracle.num_updates * oracle.batch_size
    if config.expansion in ONE_BEST_RESPONSE:
        return best_responses
    if "self_play" in uses.uses and together == best_responses:  # one, and later the other
        return together
    if uses.uses == {"rounds"}:
        part = oracle.shared_by(config.rounds)
        return 2 * config.rounds * part.num_updates * part.batch_size
    raise ProtocolError(
        f"what an iteration of expansion {config.expansion} costs is not known, or not always the "
        "same; give decisions_per_iteration in methods.toml"
    )


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ProtocolError(f"{path} cannot be read: {error}") from None


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables laid over each other."""
    result: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            below = result.get(name)
            both = isinstance(value, Mapping) and isinstance(below, Mapping)
            result[name] = merged(below, value) if both else value
    return result


def budget_of(method: Mapping[str, Any], candidate: int) -> dict[str, Any]:
    """`OF_THE_BUDGET` of a candidate of a method; None where it does not say it."""
    said = {**method, **method["candidates"][candidate]}
    return {name: said.get(name) for name in OF_THE_BUDGET}


def settings_of(
    name: str, method: Mapping[str, Any], candidate: int, common: Mapping[str, Any]
) -> dict[str, Any]:
    """All settings of a candidate of a method with today's defaults, but for the tables of learners
    that it does not use. What a variant sets, `settings` may set otherwise.

    Raises:
        UnknownVariant: there is no such variant in this version.
    """
    if method["variant"] not in VARIANTS:
        raise UnknownVariant(f"{name} is skipped: there is no variant {method['variant']!r} here")
    own = method["candidates"][candidate]
    layers = (
        VARIANTS[method["variant"]].settings,
        common,
        method["settings"],
        {key: value for key, value in own.items() if key not in OF_THE_BUDGET},
        ENFORCED,
    )
    config = RunConfig.from_json(merged(*layers))
    fields = json.loads(json.dumps(dataclasses.asdict(config)))
    used = {config.oracle, config.self_play, "network"}
    tables = {key for key, value in fields.items() if isinstance(value, dict)}
    return {
        key: value
        for key, value in fields.items()
        if key not in OF_THE_UNIT and (key not in tables or key in used)
    }


def tuning_units(
    protocol: Mapping[str, Any], methods: Mapping[str, Any], names: Sequence[str]
) -> Iterator[Unit]:
    """The runs that choose settings: every candidate on every tuning game with every tuning seed.
    A method with one candidate has nothing to choose."""
    tuning = protocol["tuning"]
    for name in names:
        candidates = len(methods[name]["candidates"])
        for candidate in range(candidates) if candidates > 1 else ():
            settings = settings_of(name, methods[name], candidate, protocol["common"])
            for game, described in tuning["games"].items():
                for seed in tuning["seeds"]:
                    yield Unit(
                        stage=TUNING, game=game, name=described["name"], seed=seed,
                        method=f"{name}.{candidate}", budget=tuning["budget"], points=1,
                        exploiter_decisions=0, settings=settings,
                        **budget_of(methods[name], candidate),
                    )  # fmt: skip


def reported_units(frozen: Mapping[str, Any]) -> list[Unit]:
    """The runs that are reported, from the frozen settings: seed by seed, so that whoever stops
    early has few seeds of everything."""
    return [
        Unit(
            stage=REPORTED, game=game, name=described["name"], method=name, seed=seed,
            budget=described["budget"], points=described["points"],
            exploiter_decisions=frozen["protocol"]["exploiter_decisions"],
            settings=method["settings"],
            **{key: method[key] for key in OF_THE_BUDGET},
        )
        for seed in frozen["protocol"]["seeds"]
        for game, described in frozen["protocol"]["games"].items()
        for name, method in frozen["methods"].items()
    ]  # fmt: skip


def shard(units: Sequence[Unit], which: str) -> list[Unit]:
    """Part i of n, `"i/n"` with i from 0 on. The parts together are all units, each one once."""
    try:
        part, parts = map(int, which.split("/"))
    except ValueError:
        part, parts = -1, 0
    if not 0 <= part < parts:
        raise ProtocolError(f"--shard {which} must be i/n with i from 0 to n - 1, such as 2/8")
    return list(units[part::parts])


def check_apart(protocol: Mapping[str, Any]) -> None:
    """Raises ProtocolError if settings would be chosen on games or seeds that are reported."""
    tuning = protocol["tuning"]
    games = {described["name"] for described in protocol["games"].values()}
    shared = games & {described["name"] for described in tuning["games"].values()}
    if shared:
        raise ProtocolError(f"{min(shared)} is reported, so settings must not be chosen on it")
    if seeds := set(protocol["seeds"]) & set(tuning["seeds"]):
        raise ProtocolError(f"seed {min(seeds)} is reported, so settings must not be chosen on it")
