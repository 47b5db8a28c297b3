"""Policy-Space Response Oracles for games of imperfect information, with recurrent policies whose
exploitability is exact.

    experiment = psro.run(psro.RunConfig(game="kuhn_poker"))
    experiment = psro.load("experiments/kuhn_poker-20260101T120000")
    experiment.exploitability()
"""

from typing import TYPE_CHECKING

from games.lazy import attributes

if TYPE_CHECKING:
    from psro.measure.arena import evaluate
    from psro.metagame.egta import egta
    from psro.metagame.solve import solve
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
    "egta",
    "evaluate",
    "export",
    "load",
    "resume",
    "run",
    "run_many",
    "solve",
]

__getattr__ = attributes(
    __name__,
    {
        "Experiment": "psro.runs.experiment",
        "ExperimentError": "psro.runs.storage",
        "PPOConfig": "psro.oracles.settings",
        "RunConfig": "psro.runs.config",
        "Seeds": "psro.runs.seeds",
        "egta": "psro.metagame.egta",
        "evaluate": "psro.measure.arena",
        "export": "psro.runs.export",
        "load": "psro.runs.experiment",
        "resume": "psro.runs.experiment",
        "run": "psro.runs.experiment",
        "run_many": "psro.runs.seeds",
        "solve": "psro.metagame.solve",
    },
)
"""JAX is imported with the first name that needs it."""
