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
    epochs: int = 4
    """Passes over each rollout."""
    num_minibatches: int = 4
    """Minibatches in each pass; each has whole environments. It divides num_envs."""
    learning_rate: float = 2e-3
    """Adam's step size at the start of the run."""
    last_learning_rate: float = 2e-5
    """Adam's step size at the end of the run. It falls linearly. If it stays large, the last
    iterate wavers."""
    adam_eps: float = 1e-5
    """Adam divides by the root of the mean squared gradient plus this number."""
    max_gradient_norm: float = 0.5
    """Gradients are scaled down to this global norm."""

    def __post_init__(self):
        check_types(self, f"{self.name}.")
        check_positive(
            self.name, self, "decisions", "num_envs", "rollout_length", "epochs", "num_minibatches",
            "learning_rate", "adam_eps", "max_gradient_norm",
        )  # fmt: skip
        check_not_negative(self.name, self, "last_learning_rate")
        check_multiples(self.name, self, ("num_envs", "num_minibatches"))

    @property
    def num_updates(self) -> int:
        """Rollouts of an iteration."""
        return -(-self.decisions // (self.num_envs * self.rollout_length))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActorCriticConfig(SelfPlayConfig):
    """Settings of learners that learn from advantages."""

    normalize_advantages: ClassVar[bool] = False
    sequence_length: int = 8
    """Own decisions that gradients flow through. It divides rollout_length."""
    gae_lambda: float = 0.95
    """Decay of generalised advantage estimation."""
    value_weight: float = 0.5
    """Weight of the value loss."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(self.name, self, "sequence_length")
        check_not_negative(self.name, self, "value_weight")
        check_shares(self.name, self, "gae_lambda")
        check_multiples(self.name, self, ("rollout_length", "sequence_length"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClippedConfig(ActorCriticConfig):
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class MMDConfig(ClippedConfig):
    """Magnetic mirror descent in self-play."""

    name: ClassVar[str] = "mmd"
    networks: ClassVar[int] = 2

    entropy_weight: float = 0.3
    """Weight of the entropy bonus at the start of the run."""
    magnet: str = "average"
    """The policy that the divergence pulls towards: average (its weights are a moving average of
    the policy's) or moving (the policy as it was when the iteration began). The entropy bonus pulls
    towards uniform play beside it."""
    magnet_weight: float = 0.2
    """Weight of the divergence from the magnet."""
    magnet_rate: float = 0.01
    """How far the weights of an average magnet move towards those of the policy after each rollout,
    from 0 to 1."""
    play_average: bool = True
    """The policy to play is the average magnet, and the one that learns is kept beside it.
    Otherwise it is the one that learns. With a moving magnet this is not used."""
    proximal_weight: float = 0.0
    """Weight of the divergence from the policy that acted: 1 / the paper's step size. The clipped
    ratio does the same."""

    def __post_init__(self):
        super().__post_init__()
        check_not_negative(self.name, self, "magnet_weight", "proximal_weight")
        check_shares(self.name, self, "magnet_rate")
        _check_magnet(self, ("average", "moving"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RNaDConfig(ActorCriticConfig):
    """Regularised Nash dynamics in self-play."""

    name: ClassVar[str] = "rnad"

    epochs: int = 1
    """Passes over each rollout."""
    gae_lambda: float = 1.0
    """Decay of generalised advantage estimation. 1 is the paper's."""
    regularisation: float = 0.2
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class NFSPConfig(SelfPlayConfig):
    """Neural fictitious self-play."""

    name: ClassVar[str] = "nfsp"
    networks: ClassVar[int] = 2

    num_strata: int = 8
    """Groups of environments. In some of them opponents play their best response. It divides
    num_envs."""
    anticipatory: float = 0.125
    """The share of groups in which opponents play their best response, rounded to whole groups. In
    the others they play their average policy."""
    exploration: float = 0.1
    """Share of the best response's actions that are random at the start of the run."""
    last_exploration: float = 0.0
    """The same share at the end of the run. It falls linearly."""
    trace_decay: float = 0.9
    """Lambda of Q(lambda): 0 = one-step targets, 1 = returns up to the first action that is not
    greedy."""
    temperature: float = 0.002
    """Softmax temperature of the best response in others' rollouts and as a policy, in units of the
    game's largest return."""
    reservoir_size: int = 65_536
    """Decisions of each learner that the reservoir holds, rounded down to whole rollouts."""
    num_batches: int = 8
    """Steps of the average policy after each rollout, each on its own batch."""
    num_sequences: int = 64
    """Sequences of the reservoir in a batch, of rollout_length own decisions each."""
    burn_in: int = 2
    """Number of first decisions of a sequence that only warm up the stored carry."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(
            self.name, self, "num_strata", "temperature", "reservoir_size", "num_batches",
            "num_sequences",
        )  # fmt: skip
        check_not_negative(self.name, self, "burn_in")
        check_shares(
            self.name, self, "anticipatory", "exploration", "last_exploration", "trace_decay"
        )
        check_multiples(self.name, self, ("num_envs", "num_strata"))
        if self.burn_in >= self.rollout_length:
            raise SettingsError(
                f"{self.name}.burn_in = {self.burn_in} must be below "
                f"{self.name}.rollout_length = {self.rollout_length}"
            )
        if self.reservoir_size < self.num_envs * self.rollout_length:
            raise SettingsError(
                f"{self.name}.reservoir_size = {self.reservoir_size} must hold a rollout: "
                f"{self.name}.num_envs * {self.name}.rollout_length = "
                f"{self.num_envs} * {self.rollout_length} decisions"
            )

    @property
    def sequence_length(self) -> int:
        """Sequences are whole rollouts."""
        return self.rollout_length

    @property
    def num_fills(self) -> int:
        """Rollouts that fill the reservoir."""
        return self.reservoir_size // (self.num_envs * self.rollout_length)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MirrorConfig(ActorCriticConfig):
    """Mirror descent over all actions, by a central critic."""

    name: ClassVar[str] = "mirror"
    networks: ClassVar[int] = 2

    last_learning_rate: float = 5e-4
    """Adam's step size at the end of the run. It falls linearly."""
    max_gradient_norm: float = 5.0
    """Gradients are scaled down to this global norm."""
    value_weight: float = 2.0
    """Weight of the critic's losses."""
    step_size: float = 2.0
    """Step size of mirror descent at the start of the run, in units of 1 / the game's largest
    return."""
    last_step_size: float = 0.5
    """Step size at the end of the run. It falls by the same factor in equal parts."""
    temperature: float = 0.05
    """Weight of the divergence from the magnet at the start of the run, in units of the game's
    largest return."""
    last_temperature: float = 0.05
    """Weight of the divergence at the end of the run. It moves as the step size does."""
    magnet: str = "average"
    """The policy that the divergence pulls towards: average (its weights are a moving average of
    the policy's) or uniform (each legal action alike: then the divergence is the entropy, up to a
    constant)."""
    exploration: float = 0.3
    """Share of uniform play in a learner's own rollouts, so that values of all actions are
    learned. Its opponents do not explore."""
    magnet_window: float = 0.15
    """The share of the run that the average, which is the policy to play, remembers: after each
    rollout its weights move towards those of the policy that learns by 1 / the number of rollouts
    in this share."""
    average_rate: float | None = None
    """How far these weights move after each rollout, from 0 to 1. By default what magnet_window
    says."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(
            self.name, self, "step_size", "last_step_size", "temperature", "last_temperature"
        )
        check_shares(self.name, self, "magnet_window", "exploration")
        check_positive(self.name, self, "magnet_window")
        if self.average_rate is not None:
            check_shares(self.name, self, "average_rate")
        _check_magnet(self, ("average", "uniform"))


def _check_magnet(config: Any, known: tuple[str, ...]) -> None:
    if config.magnet not in known:
        raise SettingsError(
            f"{config.name}.magnet = {config.magnet!r} must be one of {', '.join(known)}"
        )


SELF_PLAY: dict[str, type[Any]] = {
    "ppo_self_play": PPOSelfPlayConfig,
    "mmd": MMDConfig,
    "mirror": MirrorConfig,
    "rnad": RNaDConfig,
    "nfsp": NFSPConfig,
}
"""The settings of each learner of self-play by its name."""
CENTRAL_SELF_PLAY = ("ppo_self_play", "mmd", "mirror", "rnad")
"""Learners of self-play that can learn from a central critic (`NetworkConfig.critic`)."""
