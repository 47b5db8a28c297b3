"""The settings that all oracles share that learn from sampled episodes."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

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
    softmax: ClassVar[bool] = True
    """In training the policy acts by its own softmax at temperature 1. In games that are measured
    by episodes it keeps this temperature where it earns more (`psro.training.finishing`)."""

    usual_decisions: ClassVar[int] = 16_384
    """The default of `decisions` in a game that is enumerated."""
    usual_sampled_decisions: ClassVar[int] = 524_288
    """The default of `decisions` in a game that is measured by episodes."""
    usual_learning_rate: ClassVar[float] = 1e-2
    """The default of `learning_rate` in a game that is enumerated."""
    usual_sampled_learning_rate: ClassVar[float] = 1e-2
    """The default of `learning_rate` in a game that is measured by episodes."""

    reward_scale: ClassVar[float] = 1.0
    """What rewards, in units of the game's largest return, are multiplied by."""

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
