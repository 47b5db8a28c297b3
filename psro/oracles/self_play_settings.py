"""The settings of self-play. This module does not import JAX, because the command line, plots and
evaluations read the settings without JAX."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from psro.oracles.checks import (
    check_multiples,
    check_not_negative,
    check_positive,
    check_shares,
    check_types,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelfPlayConfig:
    """Settings of rollouts, schedules and gradient steps. Schedules run over the whole run, and not
    over one iteration."""

    name: ClassVar[str]
    """The learner's, in error messages."""
    networks: ClassVar[int] = 1
    """Policies that the learner makes for each player, one after another. The first is the one to
    play."""

    decisions: int = 65_536
    """Own decisions of each player in one iteration, rounded up to a multiple of
    num_envs * rollout_length."""
    shared: bool = True
    """All players' policies are one network. Otherwise each player has a network of its own. The
    game has to show the players their seat."""
    num_envs: int = 128
    """Environments in which each player learns at once."""
    rollout_length: int = 8
    """Own decisions in each environment between two updates."""
    sequence_length: int = 8
    """Own decisions that gradients flow through. It divides rollout_length."""
    epochs: int = 4
    """Passes over each rollout."""
    num_minibatches: int = 4
    """Minibatches in each pass; each has whole environments. It divides num_envs."""
    learning_rate: float = 3e-3
    """Adam's step size at the start of the run."""
    last_learning_rate: float = 3e-4
    """Adam's step size at the end of the run. It falls linearly."""
    adam_eps: float = 1e-5
    """Adam divides by the root of the mean squared gradient plus this number."""
    max_gradient_norm: float = 0.5
    """Gradients are scaled down to this global norm."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation."""
    clip: float = 0.2
    """How far a ratio of probabilities may be from 1 before it is clipped."""
    value_weight: float = 0.5
    """Weight of the value loss."""
    normalize_advantages: bool = True
    """Shift and scale the advantages of each rollout to mean 0 and standard deviation 1."""
    entropy_weight: float = 0.5
    """Weight of the entropy bonus at the start of the run."""
    last_entropy_weight: float = 0.05
    """Weight of the entropy bonus at the end of the run. It falls linearly."""

    def __post_init__(self):
        check_types(self, f"{self.name}.")
        check_positive(
            self.name, self, "decisions", "num_envs", "rollout_length", "sequence_length",
            "epochs", "num_minibatches", "learning_rate", "adam_eps", "max_gradient_norm",
        )  # fmt: skip
        check_not_negative(
            self.name, self, "last_learning_rate", "clip", "value_weight", "entropy_weight",
            "last_entropy_weight",
        )  # fmt: skip
        check_shares(self.name, self, "gae_lambda")
        check_multiples(
            self.name,
            self,
            ("rollout_length", "sequence_length"),
            ("num_envs", "num_minibatches"),
        )

    @property
    def num_updates(self) -> int:
        """Rollouts of an iteration."""
        return -(-self.decisions // (self.num_envs * self.rollout_length))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOSelfPlayConfig(SelfPlayConfig):
    """PPO in self-play, with an entropy bonus that falls."""

    name: ClassVar[str] = "ppo_self_play"


SELF_PLAY: dict[str, type[Any]] = {"ppo_self_play": PPOSelfPlayConfig}
"""The settings of each learner of self-play by its name."""
