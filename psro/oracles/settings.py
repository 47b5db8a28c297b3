"""The settings of every oracle. This module does not import JAX, because the command line, plots
and evaluations read the settings without JAX."""

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
from psro.oracles.dreamer_settings import DreamerConfig
from psro.oracles.off_policy_settings import DQNConfig, PQNConfig, R2D2Config, SACConfig
from psro.oracles.sampled_settings import SampledConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnPolicyConfig(SampledConfig):
    """Settings of oracles that learn from fresh episodes. A subclass defines `gae_lambda`, the
    decay of generalised advantage estimation, as a field or as a constant."""

    sequence_length: int = 8
    """Own decisions that gradients flow through. It divides rollout_length."""
    value_weight: float = 0.5
    """Weight of the value loss."""
    entropy_weight: float = 0.1
    """Weight of the entropy bonus at the start."""
    anneal_entropy_weight: bool = True
    """The weight of the entropy bonus falls linearly to zero over the training. Otherwise it stays
    as it is."""
    normalize_advantages: bool = True
    """Shift and scale the advantages of each rollout to mean 0 and standard deviation 1."""
    normalize_returns: bool = False
    """Scale rewards so that the discounted returns of the training so far have variance 1. For
    games whose largest return is not known, or whose single rewards are a small share of it."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self.name, self, "sequence_length")
        check_not_negative(self.name, self, "value_weight", "entropy_weight")
        check_shares(self.name, self, "gae_lambda")
        check_multiples(self.name, self, ("rollout_length", "sequence_length"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOConfig(OnPolicyConfig):
    """Recurrent PPO."""

    name: ClassVar[str] = "ppo"

    usual_sampled_learning_rate: ClassVar[float] = 3e-3
    epochs: int = 4
    """Passes over each rollout."""
    num_minibatches: int = 4
    """Minibatches in each pass; each has whole environments. It divides num_envs."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation."""
    clip: float = 0.2
    """How far a ratio of probabilities may be from 1 before it is clipped."""
    clip_value: float | None = None
    """How far a value may move from the rollout's value before its error is clipped, in units of
    the game's largest return. By default values are not clipped."""
    target_kl: float | None = None
    """The steps on a rollout end before the step at which the policy's approximate KL divergence
    from the rollout's policy is above this. By default all steps are taken."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self.name, self, "epochs", "num_minibatches")
        for name in ("clip_value", "target_kl"):
            if getattr(self, name) is not None:
                check_positive(self.name, self, name)
        check_not_negative(self.name, self, "clip")
        check_multiples(self.name, self, ("num_envs", "num_minibatches"))

    @property
    def steps_per_update(self) -> int:
        return self.epochs * self.num_minibatches


@dataclasses.dataclass(frozen=True, kw_only=True)
class A2CConfig(OnPolicyConfig):
    """Recurrent A2C: one gradient step on every rollout."""

    name: ClassVar[str] = "a2c"

    usual_decisions: ClassVar[int] = 131_072
    num_envs: int = 64
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinforceConfig(OnPolicyConfig):
    """Recurrent REINFORCE: whole returns minus a learned baseline, one step on every rollout.

    If a rollout ends within an episode, the baseline replaces the rest of the return.
    """

    name: ClassVar[str] = "reinforce"
    gae_lambda: ClassVar[float] = 1.0

    usual_decisions: ClassVar[int] = 131_072
    num_envs: int = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class WholeTreeConfig:
    """Settings of steps and stopping."""

    name: ClassVar[str]
    """The oracle's, in error messages."""

    steps: int = 800
    """Most gradient steps for one best response, rounded up to whole rounds."""
    steps_per_round: int = 20
    """Gradient steps between two exact evaluations."""
    patience: int = 20
    """Training ends early after so many rounds without a better policy."""
    tolerance: float = 1e-4
    """Training ends when the policy's exact value is this close to the best response's, in units of
    the game's largest return."""
    learning_rate: float = 3e-2
    """Adam's step size at the start. It falls to zero along a half cosine."""
    max_gradient_norm: float = 1.0
    """Gradients are scaled down to this global norm."""
    temperature: float = 0.1
    """Softmax temperature of the finished policy. In training it is 1."""

    def __post_init__(self):
        check_types(self, f"{self.name}.")
        check_positive(
            self.name, self, "steps", "steps_per_round", "patience", "learning_rate",
            "max_gradient_norm", "temperature",
        )  # fmt: skip
        check_not_negative(self.name, self, "tolerance")

    def shared_by(self, rounds: int) -> WholeTreeConfig:
        """The settings of one of several rounds. The rounds share the steps."""
        return dataclasses.replace(self, steps=-(-self.steps // rounds))

    @property
    def evaluations(self) -> int:
        return -(-self.steps // self.steps_per_round)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FullWidthConfig(WholeTreeConfig):
    """Policy improvement on the whole tree."""

    name: ClassVar[str] = "full_width"

    improvement: float = 0.005
    """Softmax temperature of the improved policy that a step moves towards, in units of the game's
    largest return."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self.name, self, "improvement")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillConfig(WholeTreeConfig):
    """Cloning of the exact best response."""

    name: ClassVar[str] = "distill"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConditionalConfig(FullWidthConfig):
    """Policy improvement on the whole tree. All policies are one network."""

    name: ClassVar[str] = "conditional"


CONFIGS: dict[str, type[Any]] = {
    "ppo": PPOConfig,
    "a2c": A2CConfig,
    "reinforce": ReinforceConfig,
    "dqn": DQNConfig,
    "r2d2": R2D2Config,
    "pqn": PQNConfig,
    "sac": SACConfig,
    "dreamer": DreamerConfig,
    "full_width": FullWidthConfig,
    "distill": DistillConfig,
    "conditional": ConditionalConfig,
}
"""The settings of each oracle by its name."""

TABULAR = ("best_response",)
"""Oracles whose policies are tables; they have no settings."""

ENUMERATED = ("full_width", "distill", "conditional", "best_response")
"""Oracles that need a game that is enumerated."""

ON_FORMS = ("distill", "best_response")
"""Those of them that also work where only the players' own info states are known."""

CENTRAL_ORACLES = ("ppo", "a2c", "reinforce")
"""Oracles that can learn from a central critic (`NetworkConfig.critic`)."""
STARTS = {"ppo": "perturbed", "a2c": "perturbed", "reinforce": "perturbed"}
"""What best responses start from by default, one of `psro.policies.initial.INITS`. Other oracles
start from `scratch`."""

CPU_DEVICES = 6
"""Number of threads that train jobs on a CPU (`psro.oracles.devices`). It is divisible by two and
by three, for the jobs of two and of three players."""
