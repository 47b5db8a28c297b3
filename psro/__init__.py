"""Policy-Space Response Oracles for games of imperfect information, with recurrent policies whose
exploitability is exact.

    experiment = psro.run(psro.RunConfig(game="kuhn_poker"))
    experiment = psro.load("experiments/kuhn_poker-20260101T120000")
    experiment.exploitability()
"""

from psro.oracles import PPOConfig
from psro.runs.config import RunConfig
from psro.runs.experiment import Experiment, load, resume, run
from psro.runs.export import export
from psro.runs.seeds import Seeds, run_many
from psro.runs.storage import ExperimentError

__all__ = [
    "Experiment",
    "ExperimentError",
    "PPOConfig",
    "RunConfig",
    "Seeds",
    "export",
    "load",
    "resume",
    "run",
    "run_many",
]
