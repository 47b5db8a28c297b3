"""A game in the `Form` that exact quantities take least of."""

from __future__ import annotations

import os
import time
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
            A walked game has information states only.
        max_histories: refuse to enumerate a game with more histories.
        cache: folder of compiled trees, as in `games.load`.
        progress: is told how far a walk is.

    Raises:
        GameError: there is no such game, or no exact form of it.
    """
    from games.readers import openspiel

    walked = _walked(name, observation, cache, progress)
    if walked is not None:
        return walked
    try:
        tree = openspiel.load(
            name, observation=observation, max_histories=max_histories, cache=cache
        )
    except GameError as error:
        try:
            public = _public(name, observation)
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
    walked = _walked(name, observation)
    if walked is not None:
        return walked
    try:
        return _public(name, observation)
    except GameError:
        return None


def cost(form: Form) -> tuple[int, float]:
    """Bytes of a form beyond a tree with a pass over it, and about how many CPU seconds a pass
    takes that gives both players' gains: measured now, on all or on a part of it."""
    from games.walked.tree import WalkedTree

    plans = [np.ones(player.num_sequences) for player in form.players]
    share = 1.0
    for _ in range(2):  # the first time, code is loaded and memory is touched
        begin = time.process_time()
        if isinstance(form, WalkedTree):
            share = form.walk_some(plans)
        else:
            form.returns_and_gains(plans)
        seconds = (time.process_time() - begin) / share
    holders = [form, *form.players, *(vars(form).get(part) for part in ("trees", "game"))]
    arrays = {id(a): a for holder in holders if holder is not None for a in _arrays(holder)}
    passing = 8 * 4 * sum(player.num_sequences for player in form.players)
    return sum(array.nbytes for array in arrays.values()) + passing, seconds


def _arrays(holder: Any) -> list[np.ndarray]:
    return [array for array in vars(holder).values() if isinstance(array, np.ndarray)]


def _short_name(name: str) -> str | None:
    """OpenSpiel's short name; None for a file or another library's game."""
    from games.readers import files, openspiel

    if "::" in name or files.is_file(name):
        return None
    return openspiel.load_openspiel(name).get_type().short_name


def _walked(
    name: str,
    observation: str | None,
    cache: str | os.PathLike | None = None,
    progress: Progress | None = None,
) -> Form | None:
    """None if the game is not walked, or so small that it is enumerated."""
    from games.readers.openspiel import OBSERVATIONS
    from games.walked import WALKED, walked_rules

    if _short_name(name) not in WALKED or observation not in (None, OBSERVATIONS[0]):
        return None
    try:
        rules = walked_rules(name)
    except GameError:  # the reader of trees says why it is refused
        return None
    if rules.num_open <= ENUMERATED_CELLS:
        return None
    from games.walked.cache import cached_tree  # imports numba

    return cached_tree(rules, cache, progress)


def _public(name: str, observation: str | None) -> Form | None:
    from games.public import PUBLIC, public_tree

    return public_tree(name, observation) if _short_name(name) in PUBLIC else None
