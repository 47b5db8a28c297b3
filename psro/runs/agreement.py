"""Checks that a run's recorded payoffs match its policies."""

from __future__ import annotations

import numpy as np

from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.strategy import over_seats

_MOST = 20_000_000
"""Most terminals times profiles of opponents that are computed; this takes about a second. If there
are more, only some policies are checked."""
_TOLERANCE = 1e-3
"""Largest difference of payoffs that is accepted, as a share of the game's largest return. Rounding
on other machines, and in numbers of 16 bits, makes smaller differences."""


def disagreement(meta_game: ExactMetaGame, *, symmetric: bool) -> str | None:
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
        f"the recorded payoffs do not match the policies: if policies {policies} meet, player "
        f"{player} earns {computed[(player, *profile)]:.6g}, but the record says "
        f"{recorded.payoffs[(player, *profile)]:.6g}"
    )
