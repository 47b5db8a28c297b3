"""A game by its name, in the strongest form that fits: enumerated, native, or on the host."""

from __future__ import annotations

import dataclasses

from games.errors import MAX_HISTORIES, GameError
from games.form import Form
from games.forms import beyond_trees
from games.game import Game
from games.readers.openspiel import load
from games.tree import GameTree
from games.tree_game import TreeGame


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opened:
    """A game, ready to be played.

    Attributes:
        game: its rules.
        tree: all of it; None where it is not enumerated.
        form: what gives exact figures: the tree, or a form that holds the players' own info states;
            None where policies are to be measured by episodes.
        why_sampled: one sentence, where exact figures were wanted if possible and there are none.
    """

    game: Game
    tree: GameTree | None
    form: Form | None = None
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
        evaluation: `exact` enumerates the game, or opens its form (`games.forms`) where it does not
            fit; `sampled` does neither; and `auto` is `exact` where either fits into memory.
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
            if backend == "tree":
                raise
            refusal = error
    exact = tree if evaluation != "sampled" else None
    if tree is not None and backend in ("auto", "tree"):
        return Opened(game=TreeGame(tree, known=exact is not None), tree=exact, form=exact)
    try:
        game = _played(name, backend, observation)
    except GameError as error:
        raise (refusal or error) from None
    game.tree = exact
    form = exact
    if refusal and evaluation != "sampled":
        form = _form(name, game, observation)
        if form is None and evaluation == "exact":
            raise refusal
    game.form = form
    sampled = refusal and evaluation == "auto" and form is None
    return Opened(game=game, tree=exact, form=form, why_sampled=str(refusal) if sampled else None)


def _form(name: str, game: Game, observation: str | None) -> Form | None:
    """The form of a game that is too large to enumerate; None if it has none, or not with the
    tensor that policies see when it is played."""
    form = beyond_trees(name, observation=observation)
    if form is None or form.num_players != 2:
        return None
    seen = [(states.observation_size,) for states in form.players]
    return form if seen == [getattr(game.observation_space, "shape", None)] * 2 else None


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
