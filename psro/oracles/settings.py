"""The settings of every oracle. This module does not import JAX, because the command line, plots
and evaluations read the settings without JAX."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from psro.errors import SettingsError
from psro.oracles.checks import (
    check_multiples,
    check_not_negative,
    check_positive,
    check_shares,
    check_types,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampledConfig:
    """Settings of rollouts, stopping and the optimiser."""

    name: ClassVar[str]
    """The oracle's, in error messages."""

    usual_decisions: ClassVar[int] = 16_384
    """The default of `decisions` in a game that is enumerated."""
    usual_sampled_decisions: ClassVar[int] = 524_288
    """The default of `decisions` in a game that is measured by episodes."""
    usual_learning_rate: ClassVar[float] = 1e-2
    """The default of `learning_rate` in a game that is enumerated."""
    usual_sampled_learning_rate: ClassVar[float] = 1e-2
    """The default of `learning_rate` in a game that is measured by episodes."""

    decisions: int | None = None
    """Most own decisions of the learner for one best response, rounded up to a multiple of
    evaluations * num_envs * rollout_length. By default 524,288 in a game that is measured by
    episodes; otherwise 16,384 for ppo, and 131,072 for the other oracles."""
    evaluations: int = 8
    """How often the policy is evaluated during training. The best policy seen is the best
    response."""
    patience: int = 8
    """Training ends early after so many evaluations without a better policy."""
    num_envs: int = 256
    """Environments that each best response is trained in at once."""
    num_strata: int = 16
    """Groups of environments. Those of a group meet the same opponents. It divides num_envs."""
    rollout_length: int = 8
    """Own decisions in each environment between two updates."""
    learning_rate: float | None = None
    """Adam's step size at the start. By default 0.003 for ppo in a game that is measured by
    episodes; otherwise 0.01."""
    anneal_learning_rate: bool = True
    """The step size falls linearly to zero over the training. Otherwise it stays as it is."""
    adam_eps: float = 1e-5
    """Adam divides by the root of the mean squared gradient plus this number."""
    gamma: float = 1.0
    """Discount for each own decision. Below 1, the objective is no longer the game's."""
    max_gradient_norm: float = 0.5
    """Gradients are scaled down to this global norm."""
    temperature: float = 0.1
    """Softmax temperature of the finished policy. In training it is 1. A low temperature removes
    the remaining exploration: a pure best response always exists."""
    tabulated: bool = False
    """Evaluate the network once per step at all info states, not once for each decision. One table
    acts for all opponents. The objective is the same. It is faster if a minibatch has more
    decisions than the player has info states. Gradients flow through whole episodes. num_strata and
    the length of sequences are not used. Needs a game that is enumerated."""
    env_devices: int = 0
    """Devices that share the environments of one best response. 0 = one on a CPU; on accelerators
    all devices that remain when each best response has one."""

    def __post_init__(self):
        check_types(self, f"{self.name}.")
        if self.decisions is not None:
            check_positive(self.name, self, "decisions")
        if self.learning_rate is not None:
            check_positive(self.name, self, "learning_rate")
        check_positive(
            self.name, self, "evaluations", "patience", "num_envs", "num_strata",
            "rollout_length", "max_gradient_norm", "temperature", "adam_eps",
        )  # fmt: skip
        check_not_negative(self.name, self, "env_devices")
        check_shares(self.name, self, "gamma")
        check_multiples(self.name, self, ("num_envs", "num_strata"))

    def shared_by(self, rounds: int) -> SampledConfig:
        """The settings of one of several rounds. The rounds share decisions and evaluations."""
        return dataclasses.replace(
            self,
            decisions=-(-self.most_decisions // rounds),
            evaluations=max(1, self.evaluations // rounds),
        )

    def for_sampled_game(self) -> SampledConfig:
        """The settings in a game that is measured by episodes, with every default decided."""
        usual = {
            "decisions": self.usual_sampled_decisions,
            "learning_rate": self.usual_sampled_learning_rate,
        }
        return dataclasses.replace(
            self, **{name: value for name, value in usual.items() if getattr(self, name) is None}
        )

    @property
    def first_learning_rate(self) -> float:
        """`learning_rate`, or its default in an enumerated game."""
        return self.usual_learning_rate if self.learning_rate is None else self.learning_rate

    @property
    def most_decisions(self) -> int:
        """`decisions`, or their default in an enumerated game."""
        return self.usual_decisions if self.decisions is None else self.decisions

    @property
    def batch_size(self) -> int:
        """Own decisions of one job in one update."""
        return self.num_envs * self.rollout_length

    @property
    def updates_per_evaluation(self) -> int:
        return -(-self.most_decisions // (self.batch_size * self.evaluations))

    @property
    def num_updates(self) -> int:
        return self.updates_per_evaluation * self.evaluations

    @property
    def steps_per_update(self) -> int:
        """Gradient steps on one rollout."""
        return 1


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
    games whose largest return is not known."""

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
class DQNConfig(SampledConfig):
    """Recurrent Q-learning from replayed sequences."""

    name: ClassVar[str] = "dqn"

    usual_decisions: ClassVar[int] = 131_072
    num_envs: int = 128
    max_gradient_norm: float = 10.0
    temperature: float = 0.002
    """Softmax temperature of the finished policy. The unit is that of the Q-values: the game's
    largest return."""
    buffer_size: int = 65_536
    """Own decisions that are kept for replay, rounded down to whole rollouts."""
    num_batches: int = 8
    """Gradient steps for each rollout, each on its own batch."""
    num_sequences: int = 64
    """Sequences in a batch, of rollout_length own decisions each."""
    burn_in: int = 2
    """Number of first decisions of a sequence that only warm up the stored carry. It must be below
    rollout_length. It is not used with tabulated."""
    trace_decay: float = 0.9
    """Lambda: 0 = one-step targets, 1 = returns up to the first action that is not greedy."""
    target_rate: float = 0.05
    """How far the target network moves towards the learner at each gradient step: 0 to 1."""
    exploration: float = 1.0
    """Share of actions that are random at the start. It falls linearly."""
    last_exploration: float = 0.1
    """Share of actions that are random at the end."""
    exploration_share: float = 0.5
    """Share of training after which the share of random actions no longer falls."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(
            self.name, self, "buffer_size", "num_batches", "num_sequences", "target_rate",
            "exploration_share",
        )  # fmt: skip
        check_not_negative(self.name, self, "burn_in")
        check_shares(
            self.name, self, "trace_decay", "target_rate", "exploration", "last_exploration",
            "exploration_share",
        )  # fmt: skip
        if self.burn_in >= self.rollout_length:
            raise SettingsError(
                f"dqn.burn_in = {self.burn_in} must be below "
                f"dqn.rollout_length = {self.rollout_length}"
            )
        if self.num_sequences > self.num_kept > 0:
            raise SettingsError(
                f"dqn.num_sequences = {self.num_sequences} must not be above the {self.num_kept} "
                f"that dqn.buffer_size = {self.buffer_size} decisions hold"
            )
        if self.buffer_size < self.batch_size:
            raise SettingsError(
                f"dqn.buffer_size = {self.buffer_size} must hold a rollout: dqn.num_envs * "
                f"dqn.rollout_length = {self.num_envs} * {self.rollout_length} decisions"
            )

    @property
    def steps_per_update(self) -> int:
        return self.num_batches

    @property
    def num_kept(self) -> int:
        """Sequences that the buffer holds."""
        return self.buffer_size // self.batch_size * self.num_envs


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
    "full_width": FullWidthConfig,
    "distill": DistillConfig,
    "conditional": ConditionalConfig,
}
"""The settings of each oracle by its name."""

TABULAR = ("best_response",)
"""Oracles whose policies are tables; they have no settings."""

ENUMERATED = ("full_width", "distill", "conditional", "best_response")
"""Oracles that need a game that is enumerated."""

STARTS = {"ppo": "perturbed", "a2c": "perturbed", "reinforce": "perturbed"}
"""What best responses start from by default, one of `psro.policies.initial.INITS`. Other oracles
start from `scratch`."""

CPU_DEVICES = 6
"""Number of threads that train jobs on a CPU (`psro.oracles.devices`). It is divisible by two and
by three, for the jobs of two and of three players."""
