"""Checks that the payoffs that a run recorded are those of its policies."""

from __future__ import annotations

import numpy as np

from psro.metagame.meta_game import MetaGame
from psro.metagame.strategy import over_seats

_MOST = 20_000_000
"""Terminals that are gone through, times profiles of opponents: about a second. What would take
more is computed for some policies only."""
_TOLERANCE = 1e-3
"""Of payoffs, as a share of the game's largest return: what other machines and numbers of 16 bits
round is less."""


def disagreement(meta_game: MetaGame, *, symmetric: bool) -> str | None:
    """Computes a meta-game's payoffs again from its plans. Returns a sentence with the largest
    difference from the recorded payoffs, or None if they agree.

    Args:
        meta_game: a meta-game with payoffs from a file.
        symmetric: payoffs are averaged over seatings.
    """
    size, seats = meta_game.size, meta_game.tree.num_players
    profiles = _MOST / max(meta_game.tree.num_terminals, 1)
    many = int(np.clip(profiles ** (1 / max(seats - 1, 1)), 1, size))
    some = np.unique(np.linspace(size - 1, 0, many).astype(int))
    recorded = meta_game.take(some)
    computed = recorded.tree.payoffs(recorded.plans)
    if symmetric:
        computed = over_seats(computed)
    difference = np.abs(computed - recorded.payoffs)
    if difference.max() <= _TOLERANCE * meta_game.tree.max_return:
        return None
    player, *profile = np.unravel_index(np.argmax(difference), difference.shape)
    policies = ", ".join(str(some[policy]) for policy in profile)
    return (
        f"the recorded payoffs are not those of the policies: where policies {policies} meet, "
        f"player {player} earns {computed[(player, *profile)]:.6g}, and recorded is "
        f"{recorded.payoffs[(player, *profile)]:.6g}"
    )
