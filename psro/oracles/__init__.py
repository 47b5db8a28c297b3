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
    DreamerConfig,
    FullWidthConfig,
    PPOConfig,
    PQNConfig,
    R2D2Config,
    ReinforceConfig,
    SACConfig,
)

if TYPE_CHECKING:
    from psro.oracles.a2c import A2C
    from psro.oracles.base import ExactView, Jobs, Oracle, Populations, Results
    from psro.oracles.best_response import BestResponse
    from psro.oracles.conditional import Conditional
    from psro.oracles.distill import Distill
    from psro.oracles.dqn import DQN
    from psro.oracles.dreamer.learner import Dreamer
    from psro.oracles.full_width import FullWidth
    from psro.oracles.known import ORACLES
    from psro.oracles.ppo import PPO
    from psro.oracles.pqn import PQN
    from psro.oracles.r2d2 import R2D2
    from psro.oracles.reinforce import Reinforce
    from psro.oracles.sac import SAC

__all__ = [
    "A2C",
    "CONFIGS",
    "DQN",
    "ORACLES",
    "PPO",
    "PQN",
    "R2D2",
    "SAC",
    "STARTS",
    "A2CConfig",
    "BestResponse",
    "Conditional",
    "ConditionalConfig",
    "DQNConfig",
    "Distill",
    "DistillConfig",
    "Dreamer",
    "DreamerConfig",
    "ExactView",
    "FullWidth",
    "FullWidthConfig",
    "Jobs",
    "Oracle",
    "PPOConfig",
    "PQNConfig",
    "Populations",
    "R2D2Config",
    "Reinforce",
    "ReinforceConfig",
    "Results",
    "SACConfig",
]

__getattr__ = attributes(
    __name__,
    {
        "A2C": "psro.oracles.a2c",
        "BestResponse": "psro.oracles.best_response",
        "Conditional": "psro.oracles.conditional",
        "DQN": "psro.oracles.dqn",
        "Distill": "psro.oracles.distill",
        "Dreamer": "psro.oracles.dreamer.learner",
        "ExactView": "psro.oracles.base",
        "FullWidth": "psro.oracles.full_width",
        "Jobs": "psro.oracles.base",
        "ORACLES": "psro.oracles.known",
        "Oracle": "psro.oracles.base",
        "PPO": "psro.oracles.ppo",
        "PQN": "psro.oracles.pqn",
        "Populations": "psro.oracles.base",
        "R2D2": "psro.oracles.r2d2",
        "Reinforce": "psro.oracles.reinforce",
        "Results": "psro.oracles.base",
        "SAC": "psro.oracles.sac",
    },
)
"""The first use of one of these imports JAX. The settings do not need JAX."""
