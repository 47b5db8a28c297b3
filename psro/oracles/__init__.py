"""Best-response methods, one per file. A run makes its oracle once and calls it in each iteration:

    oracle = ORACLES[name](game, policy, config)
    results = oracle(jobs)

An oracle is one file and one line in `ORACLES` (`psro.oracles.known`), and a config dataclass and
one line in `CONFIGS` (`psro.oracles.settings`).
"""

from typing import TYPE_CHECKING

from games.lazy import attributes
from psro.oracles.settings import (
    CONFIGS,
    STARTS,
    A2CConfig,
    ConditionalConfig,
    DistillConfig,
    DQNConfig,
    FullWidthConfig,
    PPOConfig,
    ReinforceConfig,
)

if TYPE_CHECKING:
    from psro.oracles.a2c import A2C
    from psro.oracles.base import ExactView, Jobs, Oracle, Populations, Results
    from psro.oracles.best_response import BestResponse
    from psro.oracles.conditional import Conditional
    from psro.oracles.distill import Distill
    from psro.oracles.dqn import DQN
    from psro.oracles.full_width import FullWidth
    from psro.oracles.known import ORACLES
    from psro.oracles.ppo import PPO
    from psro.oracles.reinforce import Reinforce

__all__ = [
    "A2C",
    "CONFIGS",
    "DQN",
    "ORACLES",
    "PPO",
    "STARTS",
    "A2CConfig",
    "BestResponse",
    "Conditional",
    "ConditionalConfig",
    "DQNConfig",
    "Distill",
    "DistillConfig",
    "ExactView",
    "FullWidth",
    "FullWidthConfig",
    "Jobs",
    "Oracle",
    "PPOConfig",
    "Populations",
    "Reinforce",
    "ReinforceConfig",
    "Results",
]

__getattr__ = attributes(
    __name__,
    {
        "A2C": "psro.oracles.a2c",
        "BestResponse": "psro.oracles.best_response",
        "Conditional": "psro.oracles.conditional",
        "DQN": "psro.oracles.dqn",
        "Distill": "psro.oracles.distill",
        "ExactView": "psro.oracles.base",
        "FullWidth": "psro.oracles.full_width",
        "Jobs": "psro.oracles.base",
        "ORACLES": "psro.oracles.known",
        "Oracle": "psro.oracles.base",
        "PPO": "psro.oracles.ppo",
        "Populations": "psro.oracles.base",
        "Reinforce": "psro.oracles.reinforce",
        "Results": "psro.oracles.base",
    },
)
"""The first use of one of these imports JAX. The settings do not need JAX."""
