"""The settings of self-play. This module does not import JAX, because the command line, plots and
evaluations read the settings without JAX."""

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
class SelfPlayConfig:
    """Settings of rollouts, schedules and gradient steps. Schedules run over the whole run, and not
    over one iteration."""

    name: ClassVar[str]
    """The learner's, in error messages."""
    normalize_advantages: ClassVar[bool] = False
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
    value_weight: float = 0.5
    """Weight of the value loss."""

    def __post_init__(self):
        check_types(self, f"{self.name}.")
        check_positive(
            self.name, self, "decisions", "num_envs", "rollout_length", "sequence_length",
            "epochs", "num_minibatches", "learning_rate", "adam_eps", "max_gradient_norm",
        )  # fmt: skip
        check_not_negative(self.name, self, "last_learning_rate", "value_weight")
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
class ClippedConfig(SelfPlayConfig):
    """Settings of learners that maximise PPO's surrogate with an entropy bonus."""

    clip: float = 0.2
    """How far a ratio of probabilities may be from 1 before it is clipped."""
    normalize_advantages: bool = True
    """Shift and scale the advantages of each rollout to mean 0 and standard deviation 1."""
    entropy_weight: float = 0.5
    """Weight of the entropy bonus at the start of the run."""
    last_entropy_weight: float = 0.05
    """Weight of the entropy bonus at the end of the run. It falls linearly."""

    def __post_init__(self):
        super().__post_init__()
        check_not_negative(self.name, self, "clip", "entropy_weight", "last_entropy_weight")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PPOSelfPlayConfig(ClippedConfig):
    """PPO in self-play, with an entropy bonus that falls."""

    name: ClassVar[str] = "ppo_self_play"


MAGNETS = ("average", "moving")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MMDConfig(ClippedConfig):
    """Magnetic mirror descent in self-play."""

    name: ClassVar[str] = "mmd"
    networks: ClassVar[int] = 2

    magnet: str = "average"
    """The policy that the divergence pulls towards: average (its weights are a moving average of
    the policy's) or moving (the policy as it was when the iteration began). The entropy bonus pulls
    towards uniform play beside it."""
    magnet_weight: float = 0.2
    """Weight of the divergence from the magnet."""
    magnet_rate: float = 0.01
    """How far the weights of an average magnet move towards those of the policy after each rollout,
    from 0 to 1."""
    proximal_weight: float = 0.0
    """Weight of the divergence from the policy that acted: 1 / the paper's step size. The clipped
    ratio does the same."""

    def __post_init__(self):
        super().__post_init__()
        check_not_negative(self.name, self, "magnet_weight", "proximal_weight")
        check_shares(self.name, self, "magnet_rate")
        if self.magnet not in MAGNETS:
            raise SettingsError(
                f"{self.name}.magnet = {self.magnet!r} must be one of {', '.join(MAGNETS)}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RNaDConfig(SelfPlayConfig):
    """Regularised Nash dynamics in self-play."""

    name: ClassVar[str] = "rnad"

    epochs: int = 1
    """Passes over each rollout."""
    gae_lambda: float = 1.0
    """Decay of generalised advantage estimation. 1 is the paper's."""
    regularisation: float = 0.02
    """Eta, in units of the game's largest return: what the logarithm of a ratio of the policy and
    the regularisation policy costs."""
    most_logit: float = 2.0
    """Beta: logits are not pushed beyond plus and minus this."""
    force_clip: float = 10.0
    """C: differences of action values are held between minus and plus this."""
    least_probability: float = 0.02
    """The value of an action that was taken is divided by its probability, or by this number if it
    is larger."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(
            self.name, self, "regularisation", "most_logit", "force_clip", "least_probability"
        )


SELF_PLAY: dict[str, type[Any]] = {
    "ppo_self_play": PPOSelfPlayConfig,
    "mmd": MMDConfig,
    "rnad": RNaDConfig,
}
"""The settings of each learner of self-play by its name."""
