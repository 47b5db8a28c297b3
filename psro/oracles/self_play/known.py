"""Every learner of self-play by its name. This module imports all learners and JAX."""

from psro.oracles.self_play.learner import SelfPlay
from psro.oracles.self_play.ppo import PPOSelfPlay

LEARNERS: dict[str, type[SelfPlay]] = {"ppo_self_play": PPOSelfPlay}
