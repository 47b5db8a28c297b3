"""A game by its name, in the strongest form that fits: enumerated, native, or on the host."""

from __future__ import annotations

import dataclasses

from games.errors import MAX_HISTORIES, GameError
from games.game import Game
from games.readers.openspiel import load
from games.tree import GameTree
from games.tree_game import TreeGame


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opened:
    """A game, ready to be played.

    Attributes:
        game: its rules.
        tree: all of it; None where policies are to be measured by episodes.
        why_sampled: one sentence, where the game was to be enumerated if possible and was not.
    """

    game: Game
    tree: GameTree | None
    why_sampled: str | None = None


def open_game(
    name: str,
    *,
    evaluation: str = "auto",
    backend: str = "auto",
    observation: str | None = None,
    max_histories: int = MAX_HISTORIES,
) -> Opened:
    """Opens a game by its name.

    Args:
        name: what `games.load` takes, or `pettingzoo::NAME`, `pgx::NAME` or `jaxmarl::NAME`.
        evaluation: `exact` enumerates the game, `sampled` does not look into its tree, and `auto`
            enumerates it where it fits.
        backend: what plays the game: `tree` (look-ups), `native` (rules in JAX), `openspiel`
            (OpenSpiel's states, on the host), or `auto`, the first of these that there is.
        observation: as in `games.load`.
        max_histories: as in `games.load`.

    Raises:
        GameError: the game is unknown, or cannot be opened in this way.
    """
    if "::" in name:
        return _environment(name, evaluation, backend, observation)
    tree, refusal = None, None
    if evaluation != "sampled" or backend in ("auto", "tree"):
        try:
            tree = load(name, observation=observation, max_histories=max_histories)
        except GameError as error:
            if evaluation == "exact" or backend == "tree":
                raise
            refusal = error
    exact = tree if evaluation != "sampled" else None
    if tree is not None and backend in ("auto", "tree"):
        return Opened(game=TreeGame(tree, known=exact is not None), tree=exact)
    try:
        game = _played(name, backend, observation)
    except GameError as error:
        raise (refusal or error) from None
    game.tree = exact
    return Opened(
        game=game,
        tree=exact,
        why_sampled=str(refusal) if refusal and evaluation == "auto" else None,
    )


def _environment(name: str, evaluation: str, backend: str, observation: str | None) -> Opened:
    """Another library's environment. It has no tree."""
    from games.hosted import environment

    if evaluation == "exact" or backend != "auto":
        what = "exact evaluation" if evaluation == "exact" else f"backend {backend}"
        raise GameError(f"{name!r} is played by its own library; it has no {what}")
    return Opened(game=environment(name, observation=observation), tree=None)


def _played(name: str, backend: str, observation: str | None) -> Game:
    from games.hosted.openspiel import hosted_game
    from games.native import native_game

    if backend != "openspiel":
        try:
            return native_game(name, observation)
        except GameError:
            if backend == "native":
                raise
    return hosted_game(name, observation=observation)
