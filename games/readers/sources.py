"""What a tree was loaded from, and OpenSpiel's game of it.

A source holds the game itself. A file is read only once, so later changes of the file do not
matter. Only a game that OpenSpiel knows by name is loaded later, when it is first needed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import pyspiel

from games import plugins
from games.errors import MAX_HISTORIES, GameError
from games.matrix import NormalForm
from games.readers import files, trial
from games.readers.extensive import ExtensiveGame
from games.readers.gambit import ExtensiveForm, openspiel_efg
from games.tree import Source

MAX_DEPTH = 500
"""The most moves in a row that OpenSpiel's reader of `.efg` files may get. The reader is recursive.
With a stack of 8 MiB it ends the process at some 12,000 moves, and some threads have 512 KiB."""


def source_of(name: str) -> Source:
    """The source for a game's name: OpenSpiel's string, or a file, which is read.

    Raises `GameError` if there is no such file, or its content does not fit its ending.
    """
    if not files.is_file(name):
        return Named(name)
    if files.is_extensive(name):
        return Extensive(name, files.read_efg(name))
    return normal_form(name, MAX_HISTORIES)


def normal_form(name: str, max_histories: int) -> NormalForm:
    """The game of a file of payoffs."""
    table = files.read_payoffs(name)
    return NormalForm(
        table.payoffs,
        name=name,
        max_histories=max_histories,
        player_names=table.player_names,
        action_names=table.action_names,
        outcome_names=table.outcome_names,
    )


class _Source:
    """Loads OpenSpiel's game once. A pickle leaves the game out; the copy loads it again."""

    def openspiel(self) -> pyspiel.Game:
        return self._game

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_game"}


@dataclasses.dataclass(frozen=True)
class Named(_Source):
    """A game by OpenSpiel's string."""

    name: str

    @functools.cached_property
    def _game(self) -> pyspiel.Game:
        return _by_string(self.name)


@dataclasses.dataclass(frozen=True)
class Extensive(_Source):
    """A `.efg` file's game."""

    name: str
    form: ExtensiveForm = dataclasses.field(repr=False)

    @functools.cached_property
    def _game(self) -> pyspiel.Game:
        depth = ExtensiveGame(self.form).depth
        if depth > MAX_DEPTH:
            raise GameError(
                f"OpenSpiel plays this game, and reads files of at most {MAX_DEPTH:,} moves in a "
                f"row; {self.name!r} has {depth:,}"
            )
        try:
            with silent_stderr():
                return pyspiel.load_efg_game(openspiel_efg(self.form))
        except Exception as error:
            raise GameError(f"OpenSpiel cannot load {self.name!r}: {sentence(error)}") from None


def tensor_game(game: NormalForm) -> pyspiel.Game:
    """OpenSpiel's game of payoffs."""
    game.check_size()
    payoffs = [game.payoffs_of(player) for player in range(game.num_players)]
    return pyspiel.convert_to_turn_based(pyspiel.create_tensor_game(payoffs))


def _by_string(name: str) -> pyspiel.Game:
    """The game for a tree."""
    game = _loaded(name, enumerated=True)
    if game.get_type().chance_mode == pyspiel.GameType.ChanceMode.SAMPLED_STOCHASTIC:
        raise GameError(f"{name!r} hides its chance probabilities, so it cannot be enumerated")
    return _by_turns(name, game)


def playable(name: str) -> pyspiel.Game:
    """OpenSpiel's game for its string, however large, to be stepped; simultaneous moves become
    turns.

    Raises `GameError` when OpenSpiel has no such game, refuses its parameters or fails to play it,
    or when it is not for several players.
    """
    return _by_turns(name, _loaded(name, enumerated=False))


def seeded(game: pyspiel.Game, seed: int) -> pyspiel.Game:
    """A game that hides its chance, with chance of its own."""
    parameters = game.get_parameters() | {"rng_seed": (seed & 0x7FFFFFFF) | 1}
    return pyspiel.load_game(game.get_type().short_name, parameters)


def _loaded(name: str, *, enumerated: bool) -> pyspiel.Game:
    short_name = re.split(r"[(\s]", name, maxsplit=1)[0]
    known = pyspiel.registered_names()
    if (
        short_name not in known
        and short_name.isidentifier()
        and plugins.find("psro.games", short_name)
    ):
        known = pyspiel.registered_names()
    if short_name not in known:
        files.check_ending(name)
        near = difflib.get_close_matches(short_name, known, n=3, cutoff=0.5)
        near += [
            other for other in known if short_name and short_name in other and other not in near
        ]
        hint = f"did you mean {' or '.join(near[:3])}?" if near else "`psro games` lists some"
        raise GameError(f"no game is called {short_name!r}; {hint}")
    if "(" in name:
        trial.check(name, enumerated=enumerated)
    try:
        with silent_stderr():  # OpenSpiel also prints its errors
            return pyspiel.load_game(name)
    except Exception as error:  # of several kinds, depending on the game
        raise GameError(f"OpenSpiel cannot load {name!r}: {sentence(error)}") from None


def _by_turns(name: str, game: pyspiel.Game) -> pyspiel.Game:
    kind = game.get_type()
    if kind.dynamics == pyspiel.GameType.Dynamics.MEAN_FIELD:
        raise GameError(f"{name!r} is a mean-field game; it has no players that move one by one")
    if game.num_players() < 2:
        raise GameError(f"{name!r} has {game.num_players()} player; a population needs opponents")
    if kind.dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS:
        game = pyspiel.convert_to_turn_based(game)
    return game


def sentence(error: Exception) -> str:
    """OpenSpiel's message on one line, without the place in its source."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"^/\S+:\d+ ", "", text)[:200]


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Hides what C++ code prints to stderr."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
