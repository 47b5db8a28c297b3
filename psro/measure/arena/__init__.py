"""An arena: entrants of any kind meet in one game, each in every seat against each.

An entrant is a run, an export, a word, an OpenSpiel policy or bot, or any function. Tables meet
exactly, everybody else by episodes. Agents of Python files run in processes of their own.
"""

from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from games import GameTree
from psro.errors import SettingsError
from psro.measure.arena import entrants as reading
from psro.measure.arena.entrants import WORDS, Entrant, Options
from psro.measure.arena.positions import ArenaGame
from psro.measure.arena.process import Guest, Limits
from psro.measure.arena.result import Arena
from psro.measure.arena.round_robin import Progress, RoundRobin
from psro.measure.arena.scores import scores

__all__ = ["EPISODES", "MOST_ENTRANTS", "WORDS", "Arena", "Limits", "Options", "evaluate"]

EPISODES = 200
"""Episodes of each seating of two entrants, by default."""
MOST_ENTRANTS = 200
_MOST_EPISODES = 1_000_000
_STARTING = 8
"""Processes that start side by side. Each has its time to start."""


def evaluate(
    game: str | GameTree | None,
    entrants: Mapping[str, Any],
    *,
    episodes: int = EPISODES,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Arena:
    """Every entrant against every entrant, in all seats of a game.

    Args:
        game: its name, as `psro.run` takes it, or a `GameTree`; None takes the game of the first
            run among the entrants.
        entrants: by name. Each is a run or its folder, a file of `psro export`, one of `WORDS`,
            `"FILE.py:NAME"`, an OpenSpiel policy or bot, or a function `act(observation,
            legal_actions, player, rng)`. Functions, policies and bots that are given as objects run
            in this process; those of files run in processes of their own.
        episodes: of each seating of two entrants that are not both tables.
        options: how entrants are made, and the limits of their processes.
        progress: is told how many rounds are played, of how many.

    Raises:
        SettingsError: an entrant is nothing that can play, or cannot play this game.
        ExperimentError: a folder is no run.
        GameError: there is no such game.
    """
    options = options or Options()
    _check(entrants, episodes)
    runs = reading.opened_runs(entrants)
    arena_game = ArenaGame(_game(game, runs))
    with _made(arena_game, entrants, runs, options) as made:
        robin = RoundRobin(arena_game, made, options.seed)
        returns = robin.play(episodes, progress)
    notes = [
        f"in {name}, players draw their policies together; here each player draws independently"
        for name, run in runs.items()
        if run.joint is not None
    ]
    return Arena(
        game=arena_game.name,
        names=tuple(entrant.name for entrant in made),
        what=tuple(entrant.what for entrant in made),
        returns=returns,
        scores=scores(returns),
        notes=tuple(notes),
    )


def _check(entrants: Mapping[str, Any], episodes: int) -> None:
    if not isinstance(entrants, Mapping) or not all(isinstance(name, str) for name in entrants):
        raise SettingsError('entrants are given by name, such as {"mine": policy}')
    if not 1 <= len(entrants) <= MOST_ENTRANTS:
        raise SettingsError(
            f"an arena is for 1 to {MOST_ENTRANTS} entrants, and {len(entrants)} are given"
        )
    if not 2 <= episodes <= _MOST_EPISODES:
        raise SettingsError(
            f"episodes = {episodes} must be at least 2 and at most {_MOST_EPISODES:,}"
        )


def _game(game: str | GameTree | None, runs: Mapping[str, Any]) -> str | GameTree:
    if isinstance(game, str | GameTree):
        return game
    if game is not None:
        raise SettingsError(f"a game is a name or a tree, and not of type {type(game).__name__}")
    for run in runs.values():
        return run.config.game
    raise SettingsError("no entrant is a run, so the game must be named")


@contextlib.contextmanager
def _made(
    game: ArenaGame, sources: Mapping[str, Any], runs: Mapping[str, Any], options: Options
) -> Iterator[list[Entrant]]:
    """The entrants, in order. Processes start side by side, and end with the block."""
    all_tables = all(
        runs[name].is_exact
        if name in runs
        else isinstance(source, str) and source in WORDS and source != "mcts"
        for name, source in sources.items()
    )
    modules = dict.fromkeys(options.imports)
    for run in runs.values():
        modules |= dict.fromkeys(run.config.imports)
    guests: dict[str, Guest] = {}
    starting: collections.deque[Guest] = collections.deque()
    try:
        for name, source in sources.items():
            if name not in runs and isinstance(source, str | os.PathLike) and source not in WORDS:
                file, agent = reading.agent_file(os.fspath(source))
                if len(starting) == _STARTING:
                    starting.popleft().check()
                guests[name] = Guest(file, agent, game.name, options.limits, tuple(modules))
                starting.append(guests[name])
        for guest in starting:
            guest.check()
        made = []
        for name, source in sources.items():
            if name in runs:
                made.append(reading.of_run(game, name, runs[name], options, all_tables))
            elif name in guests:
                made.append(reading.of_guest(game, name, os.fspath(source), guests[name]))
            elif isinstance(source, str):
                made.append(reading.of_word(game, name, source, options, all_tables))
            else:
                made.append(reading.of_object(game, name, source, options))
        yield made
    finally:
        for guest in guests.values():
            guest.close()
