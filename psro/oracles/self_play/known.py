"""Every learner of self-play by its name. This module imports all learners and JAX."""

from psro.oracles.self_play.learner import SelfPlay
from psro.oracles.self_play.mirror import Mirror
from psro.oracles.self_play.mmd import MMD
from psro.oracles.self_play.nfsp import NFSP
from psro.oracles.self_play.ppo import PPOSelfPlay
from psro.oracles.self_play.rnad import RNaD

LEARNERS: dict[str, type[SelfPlay]] = {
    "ppo_self_play": PPOSelfPlay,
    "mmd": MMD,
    "mirror": Mirror,
    "rnad": RNaD,
    "nfsp": NFSP,
}
