"""Best-response methods, one a file. An oracle is made once per run and called once an iteration:

    oracle = ORACLES[name](game, policy, config)
    results = oracle(key, jobs)

An oracle is one file, its config dataclass, and one line in `ORACLES`.
"""

from psro.oracles.base import Jobs, Oracle, Results
from psro.oracles.ppo import PPO, PPOConfig

ORACLES: dict[str, type[Oracle]] = {"ppo": PPO}

__all__ = ["ORACLES", "PPO", "Jobs", "Oracle", "PPOConfig", "Results"]
