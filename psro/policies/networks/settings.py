"""The settings of networks. This module does not import JAX, because the command line reads it."""

from __future__ import annotations

import dataclasses

from psro.errors import SettingsError

CRITICS = ("own", "central", "self_play")
ENCODERS = ("linear", "mlp", "cnn", "embedding")
_MOST = {"width": 16_384, "depth": 64, "channels": 1_024}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What stands around the memory cell."""

    encoder: str = "linear"
    """What reads observations: linear (one layer), mlp (depth layers before it), cnn (as mlp, with
    convolutions over images), or embedding (as mlp, with a learned vector for each whole number
    instead of a one-hot one)."""
    width: int = 64
    """Units of each layer that depth adds, and of an embedding. linear has none."""
    depth: int = 1
    """Layers before the last one of the encoder. linear has none."""
    channels: int = 16
    """Channels of the first convolution of cnn; the others have twice as many."""
    separate: bool = False
    """Encoder and cell of the value are not shared with the policy. It takes twice the time."""
    critic: str = "own"
    """What the value sees: own (what the player sees), central (what all players have seen, in
    training alone, by width units) or self_play (central in self-play, own for best responses). A
    central value explains more of a return, such as the others' cards, so advantages have less
    noise. For ppo, a2c, reinforce, and self-play by ppo_self_play, mmd, mirror and rnad."""
    layer_norm: bool = False
    """Normalise the outputs of each layer of the encoder, before the rectifier."""
    orthogonal: bool = False
    """Start encoder and heads from orthogonal matrices."""
    normalize_observations: bool = False
    """Normalise observations of real numbers by the mean and variance of what the learner has
    observed so far. They are saved with the policy."""

    def __post_init__(self):
        if self.encoder not in ENCODERS:
            known = ", ".join(ENCODERS)
            raise SettingsError(f"unknown encoder {self.encoder!r}; known: {known}")
        if self.critic not in CRITICS:
            known = ", ".join(CRITICS)
            raise SettingsError(f"unknown network.critic {self.critic!r}; known: {known}")
        for name in ("separate", "layer_norm", "orthogonal", "normalize_observations"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(
                    f"network.{name} = {getattr(self, name)!r} must be true or false"
                )
        for name, most in _MOST.items():
            value, least = getattr(self, name), 0 if name == "depth" else 1
            if type(value) is not int:
                raise SettingsError(f"network.{name} = {value!r} must be a whole number")
            if not least <= value <= most:
                raise SettingsError(f"network.{name} = {value} must be from {least} to {most:,}")
