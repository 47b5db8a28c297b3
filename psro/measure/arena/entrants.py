"""Who meets in an arena: from a word, a folder, a file or an object to an entrant."""

from __future__ import annotations

import dataclasses
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from games import GameError
from psro import exact
from psro.errors import SettingsError
from psro.measure.arena.positions import ArenaGame
from psro.measure.arena.process import Guest, Limits
from psro.measure.arena.seats import (
    BotSeat,
    FunctionSeat,
    GuestSeat,
    PolicySeat,
    Seat,
    TableSeat,
    UniformSeat,
)

WORDS = ("uniform", "cfr+", "equilibrium", "mcts")
"""Entrants that need no file."""

_MOST_TABULATED = 1_000_000
"""Histories of a game in which an OpenSpiel policy of a file becomes a table, some ten seconds."""

SOURCES = "a run's folder, a file of psro export, zoo:NAME, FILE.py:NAME, or one of " + ", ".join(
    WORDS
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How entrants are made.

    Attributes:
        cfr_iterations: of `cfr+`.
        simulations: of `mcts`, at each decision.
        seed: of every random number.
        limits: of agents in processes of their own.
        imports: names of imported modules that register the game, for OpenSpiel's policies and bots
            in processes of their own. Those of runs are added.
    """

    cfr_iterations: int = 200
    simulations: int = 100
    seed: int = 0
    limits: Limits = dataclasses.field(default_factory=Limits)
    imports: tuple[str, ...] = ()

    def __post_init__(self):
        for name, most in (("cfr_iterations", 1_000_000), ("simulations", 1_000_000)):
            if not 1 <= getattr(self, name) <= most:
                raise SettingsError(
                    f"{name} = {getattr(self, name)} must be at least 1 and at most {most:,}"
                )
        if not 0 <= self.seed < 1 << 63:
            raise SettingsError(f"seed = {self.seed} must be at least 0 and below 2^63")


@dataclasses.dataclass(kw_only=True)
class Entrant:
    """One that plays.

    Attributes:
        name: in tables.
        what: what it is, in words.
        plans: each player's realization plan, `[S_p]`; None if it is no table.
        seats: what moves for it in each seat; empty if it is measured by its plans alone.
        guest: its process, if it has one.
    """

    name: str
    what: str
    plans: list[np.ndarray] | None = None
    seats: list[Seat] = dataclasses.field(default_factory=list)
    guest: Guest | None = None


def table_entrant(game: ArenaGame, name: str, what: str, plans: Sequence[np.ndarray]) -> Entrant:
    """An entrant with realization plans `[S_p]`; it can play episodes where there is a tree."""
    entrant = Entrant(name=name, what=what, plans=list(plans))
    if game.tree is not None:
        entrant.seats = [
            TableSeat(game.tree, p, exact.behaviour(own, plan))
            for p, (own, plan) in enumerate(zip(game.tree.players, plans, strict=True))
        ]
    return entrant


def of_word(game: ArenaGame, name: str, word: str, options: Options, all_tables: bool) -> Entrant:
    """A word of `WORDS`. Where not all entrants are tables, those of large games are not either.

    Raises:
        SettingsError, GameError: this game has no such play.
    """
    from psro.measure import simple_play

    if word == "mcts":
        return _search(game, name, options)
    form = game.form if all_tables or game.tree is not None else None
    if word == "uniform" and form is None:
        seats = [UniformSeat() for _ in range(game.num_players)]
        return Entrant(name=name, what="uniform random play", seats=seats)
    if form is None:
        form = game.needs_tree(word)
    play = simple_play.policies(options.cfr_iterations)[word](form)
    return table_entrant(game, name, f"{word}: {play.method}", play.plans)


def _search(game: ArenaGame, name: str, options: Options) -> Entrant:
    from games.readers.search_bots import search_bot

    if not game.is_openspiel:
        raise SettingsError(f"mcts is OpenSpiel's search, which does not know {game.name}")
    seeds = np.random.SeedSequence([options.seed, 1]).generate_state(game.num_players)
    bots = [search_bot(game.openspiel, game.name, options.simulations, int(s) >> 1) for s in seeds]
    what = f"tree search, {options.simulations:,} simulations a move"
    return Entrant(name=name, what=what, seats=[BotSeat(bot) for bot in bots])


def of_run(game: ArenaGame, name: str, run: Any, options: Options, all_tables: bool) -> Entrant:
    """The mixture of a saved run: as a table where the game has a form, else its bots.

    Raises:
        SettingsError: the run is of another game.
    """
    from games.forms import same_game
    from psro.measure import comparison, simple_play

    if not (run.config.game == game.name or _same(same_game, run.config.game, game.name)):
        raise SettingsError(
            f"{run.folder} is a run of {run.config.game}, and the arena plays {game.name}"
        )
    what = f"the mixture of a run, {run.meta_game.size} policies a player"
    if game.tree is not None and run.tree is not None:
        plans = run.meta_game.mixture(run.measured_strategy.marginals)
        plans = comparison.on_tree(game.tree, game.name, run, plans)
        return table_entrant(game, name, what, plans)
    if game.tree is not None or (all_tables and game.form is not None):
        return table_entrant(game, name, what, simple_play.of_run(run, game.form).plans)
    seeds = np.random.SeedSequence([options.seed, 2]).spawn(game.num_players)
    bots = [run.bot(p, seed) for p, seed in enumerate(seeds)]
    return Entrant(name=name, what=what, seats=[BotSeat(bot) for bot in bots])


def _same(same_game: Callable[[str, str], bool], one: str, other: str) -> bool:
    try:
        return same_game(one, other)
    except GameError:
        return Path(one).name == Path(other).name  # a run keeps a copy of its file


def of_guest(game: ArenaGame, name: str, source: str, guest: Guest) -> Entrant:
    """An agent of a file, whose process is there: an OpenSpiel policy is made a table where the
    game has a tree that is not too large for it."""
    source = os.path.basename(source)
    if guest.kind in ("Policy", "Bot") and game.hides_chance:
        raise SettingsError(
            f"{source} is for OpenSpiel, and cannot play {game.name} from a file: its chance is "
            "hidden, so that no other process can follow an episode"
        )
    small = game.tree is not None and game.tree.num_histories <= _MOST_TABULATED
    if guest.kind == "Policy" and guest.expelled is None and small:
        behaviours = guest.table(game.tree.players)
        if behaviours is not None:
            guest.close()
            plans = [
                exact.realization_plan(own, behaviour)
                for own, behaviour in zip(game.tree.players, behaviours, strict=True)
            ]
            return table_entrant(game, name, f"an OpenSpiel policy, {source}", plans)
    kinds = {"Policy": "an OpenSpiel policy", "Bot": "an OpenSpiel bot", "Function": "an agent"}
    what = f"{kinds.get(guest.kind, 'an agent')} in a process of its own, {source}"
    seats = [GuestSeat(guest, player) for player in range(game.num_players)]
    return Entrant(name=name, what=what, seats=seats, guest=guest)


def of_object(game: ArenaGame, name: str, given: Any, options: Options) -> Entrant:
    """A policy, a bot or a function of this process.

    Raises:
        SettingsError: it is none of them.
        GameError: a policy cannot be made a table.
    """
    from psro.exact.openspiel_plans import plans_of

    seats = range(game.num_players)
    if hasattr(given, "act"):
        make = given if inspect.isclass(given) else lambda: given
        agents = [make() for _ in seats]
        return Entrant(
            name=name,
            what="an agent of this process",
            seats=[
                FunctionSeat(a.act, p, getattr(a, "restart", None))
                for p, a in zip(seats, agents, strict=True)
            ],
        )
    if hasattr(given, "action_probabilities"):
        if game.tree is not None:
            return table_entrant(game, name, "an OpenSpiel policy", plans_of(game.tree, given))
        from games.readers.policy_tables import probabilities_at

        return Entrant(
            name=name,
            what="an OpenSpiel policy",
            seats=[PolicySeat(lambda state, p=p: probabilities_at(given, state, p)) for p in seats],
        )
    if hasattr(given, "step"):
        return Entrant(name=name, what="an OpenSpiel bot", seats=[BotSeat(given) for _ in seats])
    if isinstance(given, Sequence) and given and all(hasattr(bot, "step") for bot in given):
        if len(given) != game.num_players:
            raise SettingsError(f"{name} has {len(given)} bots, and {game.name} {len(seats)} seats")
        return Entrant(name=name, what="OpenSpiel bots", seats=[BotSeat(bot) for bot in given])
    if callable(given):
        return Entrant(
            name=name,
            what="a function of this process",
            seats=[FunctionSeat(given, p, None) for p in seats],
        )
    raise SettingsError(
        f"{name} is of type {type(given).__name__}: an entrant is {SOURCES}, a run, an OpenSpiel "
        "policy or bot, or act(observation, legal_actions, player, rng)"
    )


def agent_file(source: str) -> tuple[str, str] | None:
    """The file and the name of `FILE.py:NAME`, or of `FILE.py`, whose agent is called `act`; None
    for another source."""
    file, colon, name = source.rpartition(":")
    if not colon or not file.endswith(".py"):
        file, name = source, "act"
    return (file, name) if file.endswith(".py") else None


def opened_runs(sources: Mapping[str, Any]) -> dict[str, Any]:
    """The runs among the sources, loaded, by the entrants' names.

    Raises:
        SettingsError: a source is nothing.
        ExperimentError: a folder is no experiment.
    """
    from psro.runs import archive

    runs = {}
    for name, source in sources.items():
        if _is_experiment(source):
            runs[name] = source
        elif not isinstance(source, str | os.PathLike) or os.fspath(source) in WORDS:
            continue
        elif found := agent_file(os.fspath(source)):
            _check_file(*found)
        elif os.path.exists(source) or archive.is_file(source):
            from psro.runs import experiment  # here, not above: it imports JAX

            runs[name] = experiment.load(source)
        else:
            raise SettingsError(f"there is no {os.fspath(source)!r}: an entrant is {SOURCES}")
    return runs


def _is_experiment(source: Any) -> bool:
    """Whether a source is a loaded run. If there is one, its module is imported already."""
    module = sys.modules.get("psro.runs.experiment")
    return module is not None and isinstance(source, module.Experiment)


def _check_file(file: str, name: str) -> None:
    if not os.path.isfile(file):
        raise SettingsError(f"there is no file {file!r} with an agent {name}")
    if not name.isidentifier():
        raise SettingsError(f"{name!r} is no name of an agent in {file}")
