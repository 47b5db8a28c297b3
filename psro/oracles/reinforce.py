"""Recurrent REINFORCE with a learned baseline as a best response (Williams 1992, "Simple
statistical gradient-following algorithms for connectionist reinforcement learning")."""

from __future__ import annotations

from psro.oracles.a2c import A2C


class Reinforce(A2C):
    """The oracle: `Reinforce(game, policy, config)(jobs)`.

    A2C with whole returns minus the baseline for advantages: that is what the errors of
    arXiv:1506.02438, eq. 16, add up to without decay.
    """
