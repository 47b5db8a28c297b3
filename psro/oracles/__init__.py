"""Best-response methods, one a file. An oracle is made once per run and called once an iteration:

    oracle = ORACLES[name](game, policy, config)
    results = oracle(key, jobs)

An oracle is one file, its config dataclass, and one line in `ORACLES` and in `CONFIGS`.
"""

from typing import Any

from psro.oracles.a2c import A2C, A2CConfig
from psro.oracles.base import Jobs, Oracle, Results
from psro.oracles.best_response import BestResponse
from psro.oracles.conditional import Conditional, ConditionalConfig
from psro.oracles.distill import Distill, DistillConfig
from psro.oracles.dqn import DQN, DQNConfig
from psro.oracles.full_width import FullWidth, FullWidthConfig
from psro.oracles.ppo import PPO, PPOConfig
from psro.oracles.reinforce import Reinforce, ReinforceConfig

ORACLES: dict[str, type[Oracle]] = {
    "ppo": PPO,
    "a2c": A2C,
    "reinforce": Reinforce,
    "dqn": DQN,
    "full_width": FullWidth,
    "distill": Distill,
    "conditional": Conditional,
    "best_response": BestResponse,
}

CONFIGS: dict[str, type[Any]] = {
    "ppo": PPOConfig,
    "a2c": A2CConfig,
    "reinforce": ReinforceConfig,
    "dqn": DQNConfig,
    "full_width": FullWidthConfig,
    "distill": DistillConfig,
    "conditional": ConditionalConfig,
}
"""The settings of each; best_response has none."""

STARTS = {"ppo": "perturbed", "a2c": "perturbed", "reinforce": "perturbed"}
"""What of `psro.policies.initial.INITS` best responses start from in a run that does not say, where
that is not `scratch`."""

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
    "FullWidth",
    "FullWidthConfig",
    "Jobs",
    "Oracle",
    "PPOConfig",
    "Reinforce",
    "ReinforceConfig",
    "Results",
]
