"""The settings of the oracles that learn action values: dqn, r2d2, pqn and sac."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from psro.errors import SettingsError
from psro.oracles.checks import (
    check_multiples,
    check_not_negative,
    check_positive,
    check_shares,
)
from psro.oracles.sampled_settings import SampledConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class QConfig(SampledConfig):
    """Settings of Q-learning."""

    softmax: ClassVar[bool] = False
    usual_decisions: ClassVar[int] = 131_072
    num_envs: int = 128
    max_gradient_norm: float = 10.0
    temperature: float = 0.002
    """Softmax temperature of the finished policy. The unit is that of the Q-values: the game's
    largest return / reward_scale."""
    reward_scale: float = 1.0
    """Rewards, in units of the game's largest return, are multiplied by this number. Q-values have
    the same unit. The larger they are, the less a gradient step disturbs them."""
    trace_decay: float = 0.9
    """Lambda: 0 = one-step targets, 1 = returns up to the first action that is not greedy."""
    exploration: float = 1.0
    """Share of actions that are random at the start. It falls linearly."""
    last_exploration: float = 0.1
    """Share of actions that are random at the end."""
    exploration_share: float = 0.5
    """Share of training after which the share of random actions no longer falls."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self.name, self, "exploration_share", "reward_scale")
        check_shares(
            self.name, self, "trace_decay", "exploration", "last_exploration", "exploration_share"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PQNConfig(QConfig):
    """Recurrent Q-learning from fresh episodes, without replay and without a target network."""

    name: ClassVar[str] = "pqn"

    epochs: int = 4
    """Passes over each rollout."""
    num_minibatches: int = 4
    """Minibatches in each pass; each has whole environments. It divides num_envs."""
    cut_traces: bool = True
    """An action that is not greedy ends the return (Watkins's Q(lambda)). If false, returns go on
    through random actions (Peng's Q(lambda), as in the paper): then the values are those of a
    policy that still explores."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self.name, self, "epochs", "num_minibatches")
        check_multiples(self.name, self, ("num_envs", "num_minibatches"))

    @property
    def steps_per_update(self) -> int:
        return self.epochs * self.num_minibatches


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplayConfig(SampledConfig):
    """Settings of oracles that learn from replayed sequences."""

    usual_decisions: ClassVar[int] = 131_072
    num_envs: int = 128
    max_gradient_norm: float = 10.0
    buffer_size: int = 65_536
    """Own decisions that are kept for replay, rounded down to whole rollouts."""
    num_batches: int = 8
    """Gradient steps for each rollout, each on its own batch."""
    num_sequences: int = 64
    """Sequences in a batch, of rollout_length own decisions each."""
    burn_in: int = 2
    """Number of first decisions of a sequence that only warm up the stored carry. It must be below
    rollout_length. It is not used with tabulated."""
    target_rate: float = 0.05
    """How far the target network moves towards the learner at each gradient step: 0 to 1."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(
            self.name, self, "buffer_size", "num_batches", "num_sequences", "target_rate"
        )
        check_not_negative(self.name, self, "burn_in")
        check_shares(self.name, self, "target_rate")
        if self.burn_in >= self.rollout_length:
            raise SettingsError(
                f"{self.name}.burn_in = {self.burn_in} must be below "
                f"{self.name}.rollout_length = {self.rollout_length}"
            )
        if self.num_sequences > self.num_kept > 0:
            raise SettingsError(
                f"{self.name}.num_sequences = {self.num_sequences} must not be above the "
                f"{self.num_kept} that {self.name}.buffer_size = {self.buffer_size} decisions hold"
            )
        if self.buffer_size < self.batch_size:
            raise SettingsError(
                f"{self.name}.buffer_size = {self.buffer_size} must hold a rollout: "
                f"{self.name}.num_envs * {self.name}.rollout_length = "
                f"{self.num_envs} * {self.rollout_length} decisions"
            )

    @property
    def steps_per_update(self) -> int:
        return self.num_batches

    @property
    def num_kept(self) -> int:
        """Sequences that the buffer holds."""
        return self.buffer_size // self.batch_size * self.num_envs


@dataclasses.dataclass(frozen=True, kw_only=True)
class DQNConfig(QConfig, ReplayConfig):
    """Recurrent Q-learning from replayed sequences."""

    name: ClassVar[str] = "dqn"


@dataclasses.dataclass(frozen=True, kw_only=True)
class R2D2Config(DQNConfig):
    """Recurrent Q-learning from replayed sequences, those with large errors more often."""

    name: ClassVar[str] = "r2d2"

    priority_exponent: float = 0.6
    """How much more often sequences with large errors are replayed: 0 = all alike, 1 = in
    proportion to their errors."""
    importance_exponent: float = 1.0
    """How far weights in the loss make up for that: 0 = not at all, 1 = in full. Below 1, the
    objective is no longer the return per episode."""
    largest_error_share: float = 0.9
    """A sequence's priority is this share of its largest error, and the rest of its mean error."""
    value_rescaling: bool = False
    """Learn values rescaled by h(x) = sign(x) (sqrt(|x| + 1) - 1) + 0.001 x. For games with rewards
    of different sizes. The mean of rescaled returns is not the rescaled mean: where returns are
    random, the policy no longer maximises their mean."""

    def __post_init__(self):
        super().__post_init__()
        check_shares(
            self.name, self, "priority_exponent", "importance_exponent", "largest_error_share"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SACConfig(ReplayConfig):
    """Recurrent soft actor-critic from replayed sequences."""

    name: ClassVar[str] = "sac"

    temperature: float = 0.1
    """Softmax temperature of the finished policy. In training it is 1. A low temperature removes
    the remaining exploration: a pure best response always exists."""
    target_entropy: float = 0.9
    """The entropy that the weight of the entropy bonus is adapted to, as a share of the largest:
    the logarithm of the number of legal actions. It falls linearly."""
    last_target_entropy: float = 0.6
    """The same share at the end of training. If it is small, actions that were given up early are
    hardly ever tried again, and the finished policy is cooled anyway."""
    first_entropy_weight: float = 0.1
    """Weight of the entropy bonus before it is adapted."""
    reward_scale: float = 1.0
    """Rewards, in units of the game's largest return, are multiplied by this number. Q-values and
    the weight of the entropy bonus have the same unit."""
    entropy_weight_rate: float = 1.0
    """How many times as fast as the networks the logarithm of that weight moves."""
    trace_decay: float = 0.9
    """Lambda: 0 = one-step targets, 1 = returns up to where the policy has changed since."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(
            self.name, self, "first_entropy_weight", "reward_scale", "entropy_weight_rate"
        )
        check_shares(self.name, self, "target_entropy", "last_target_entropy", "trace_decay")
