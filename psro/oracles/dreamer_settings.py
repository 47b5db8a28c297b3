"""The settings of the oracle dreamer."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from psro.errors import SettingsError
from psro.oracles.checks import check_not_negative, check_positive, check_shares
from psro.oracles.off_policy_settings import ReplayConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DreamerConfig(ReplayConfig):
    """DreamerV3: a world model, and an actor and a critic that learn from what it imagines. The
    target network is the slow critic."""

    name: ClassVar[str] = "dreamer"

    usual_decisions: ClassVar[int] = 65_536
    usual_sampled_learning_rate: ClassVar[float] = 1e-3
    num_envs: int = 64
    num_sequences: int = 32
    burn_in: int = 0
    target_rate: float = 0.02
    cell: str = "block_gru"
    """Memory cell of the world model, one of those of `--cell`, which is not used."""
    latents: int = 8
    """Categorical variables of the world's state."""
    classes: int = 8
    """Values of each of them."""
    horizon: int = 8
    """Own decisions that are imagined from every decision of a batch."""
    reward_scale: float = 1.0
    """Rewards, in units of the game's largest return, are multiplied by this number. Returns beyond
    19 of the new unit cannot be told apart, and a reward far below 0.1 is learned slowly."""
    trace_decay: float = 0.95
    """Lambda of the imagined returns."""
    entropy_weight: float = 0.3
    """Weight of the entropy bonus at the start. It falls linearly to zero."""
    spread_decay: float = 0.99
    """Decay of the moving averages of the returns' 5th and 95th percentiles."""
    least_spread: float = 1.0
    """Advantages are divided by the distance of these percentiles, or by this if it is more. The
    unit is the game's largest return / reward_scale. If this is small, noise of a model that has
    learned little decides, and the actor settles before there is anything to learn from."""

    def __post_init__(self):
        super().__post_init__()
        check_positive(
            self.name, self, "latents", "classes", "horizon", "least_spread", "reward_scale"
        )
        check_not_negative(self.name, self, "entropy_weight")
        check_shares(self.name, self, "trace_decay", "spread_decay")
        if self.tabulated:
            raise SettingsError(
                "dreamer.tabulated must be off: a world model learns from what is observed, not "
                "from numbers of info states"
            )
