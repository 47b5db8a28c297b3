"""A game in the `Form` that exact quantities take least of."""

from __future__ import annotations

import os
import time
from collections.abc import Container
from typing import TYPE_CHECKING, Any

import numpy as np

from games.errors import MAX_HISTORIES, GameError
from games.form import Form

if TYPE_CHECKING:
    from games.walked.tree import Progress

ENUMERATED_CELLS = 6
"""Boards in the dark of up to this size are enumerated, as `psro run` plays them."""


def open_form(
    name: str,
    *,
    observation: str | None = None,
    max_histories: int = MAX_HISTORIES,
    cache: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> Form:
    """The game of a name that `games.load` takes: as a tree if it can be enumerated, or else by
    public states or as a walked game.

    Args:
        name: OpenSpiel's string or a file.
        observation: the policy's input, one of `games.OBSERVATIONS`; None takes the first provided.
        max_histories: refuse to enumerate a game with more histories.
        cache: folder of compiled trees, as in `games.load`.
        progress: is told how far a walk is.

    Raises:
        GameError: there is no such game, or no exact form of it.
    """
    from games.readers import openspiel

    game = _openspiel_game(name)
    walked = _walked(name, game, observation, cache, progress)
    if walked is not None:
        return walked
    try:
        tree = openspiel.load(
            name, observation=observation, max_histories=max_histories, cache=cache
        )
    except GameError as error:
        try:
            public = _public(name, game, observation)
        except GameError as refusal:
            raise GameError(f"{error}; and {refusal}") from None
        if public is None:
            raise
        return public
    if not isinstance(tree, openspiel.GameTree):
        raise GameError(f"{name!r} can only be played: it has no exact form")
    return tree


def beyond_trees(name: str, *, observation: str | None = None) -> Form | None:
    """The exact form of a game that is too large to enumerate; None if it has none.

    Raises `GameError` if there is no such game.
    """
    game = _openspiel_game(name)
    walked = _walked(name, game, observation)
    if walked is not None:
        return walked
    try:
        return _public(name, game, observation)
    except GameError:
        return None


def same_game(name: str, other: str) -> bool:
    """Whether two names are of the same game, as files or by OpenSpiel's complete strings.

    Raises `GameError` if there is no such game."""
    if name == other:
        return True
    game, second = _openspiel_game(name), _openspiel_game(other)
    return None not in (game, second) and str(game) == str(second)


def cost(form: Form) -> tuple[int, float]:
    """Bytes of a form with a pass over it, and about how many CPU seconds a pass takes that gives
    all players' gains: measured now, on all or on a part of it."""
    plans = [np.ones(player.num_sequences) for player in form.players]
    for _ in range(2):  # the first time, code is loaded and memory is touched
        begin = time.process_time()
        share = form.begin_pass(plans)
        seconds = (time.process_time() - begin) / share
    return form.nbytes, seconds


def _openspiel_game(name: str) -> Any:
    """OpenSpiel's game; None for a file or another library's."""
    from games.readers import files, openspiel

    return None if "::" in name or files.is_file(name) else openspiel.load_openspiel(name)


def _is_among(game: Any, names: Container[str]) -> bool:
    return game is not None and game.get_type().short_name in names


def _walked(
    name: str,
    game: Any,
    observation: str | None,
    cache: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> Form | None:
    """None if the game is not walked, or so small that it is enumerated."""
    from games.readers.openspiel import tensor_name
    from games.walked import WALKED, walked_rules

    if not _is_among(game, WALKED):
        return None
    try:
        rules, tensor = walked_rules(name, game), tensor_name(name, game, observation)
    except GameError:  # the reader of trees says why it is refused
        return None
    if rules.num_open <= ENUMERATED_CELLS:
        return None
    from games.walked.cache import cached_tree  # imports numba

    return cached_tree(rules, cache, progress, tensor)


def _public(name: str, game: Any, observation: str | None) -> Form | None:
    from games.public import PUBLIC, public_tree

    return public_tree(name, observation, game) if _is_among(game, PUBLIC) else None
