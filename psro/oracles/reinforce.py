"""Recurrent REINFORCE with a learned baseline as a best response (Williams 1992, "Simple
statistical gradient-following algorithms for connectionist reinforcement learning")."""

from __future__ import annotations

from psro.oracles.a2c import A2C


class Reinforce(A2C):
    """The oracle: `Reinforce(game, policy, config)(jobs)`.

    This is A2C whose advantages are whole returns minus the baseline. The sum of arXiv:1506.02438,
    eq. 16, without decay gives the same.
    """
