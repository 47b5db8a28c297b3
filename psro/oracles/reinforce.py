"""Recurrent REINFORCE with a learned baseline as a best response (Williams 1992, "Simple
statistical gradient-following algorithms for connectionist reinforcement learning")."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from psro.oracles.a2c import A2C
from psro.oracles.on_policy import OnPolicyConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinforceConfig(OnPolicyConfig):
    """Recurrent REINFORCE: whole returns against a learned baseline, one step on every rollout.

    The baseline stands in for what an episode that a rollout cuts earns beyond it.
    """

    name: ClassVar[str] = "reinforce"
    gae_lambda: ClassVar[float] = 1.0

    decisions: int = 131_072
    num_envs: int = 64


class Reinforce(A2C):
    """The oracle: `Reinforce(game, policy, config)(key, jobs)`.

    A2C with whole returns minus the baseline for advantages: that is what the errors of
    arXiv:1506.02438, eq. 16, add up to without decay.
    """
