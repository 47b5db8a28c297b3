"""Every oracle by its name. This module imports all oracles and JAX. `psro.oracles` imports it at
the first use of `ORACLES`."""

from psro.oracles.a2c import A2C
from psro.oracles.base import Oracle
from psro.oracles.best_response import BestResponse
from psro.oracles.conditional import Conditional
from psro.oracles.distill import Distill
from psro.oracles.dqn import DQN
from psro.oracles.dreamer.learner import Dreamer
from psro.oracles.full_width import FullWidth
from psro.oracles.ppo import PPO
from psro.oracles.pqn import PQN
from psro.oracles.r2d2 import R2D2
from psro.oracles.reinforce import Reinforce
from psro.oracles.sac import SAC

ORACLES: dict[str, type[Oracle]] = {
    "ppo": PPO,
    "a2c": A2C,
    "reinforce": Reinforce,
    "dqn": DQN,
    "r2d2": R2D2,
    "pqn": PQN,
    "sac": SAC,
    "dreamer": Dreamer,
    "full_width": FullWidth,
    "distill": Distill,
    "conditional": Conditional,
    "best_response": BestResponse,
}
