"""What an exploiter finds in games where the truth is known, against fixed opponents."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

from psro import exact
from psro.measure.exploiter import Exploitation, Exploiter, exploit
from psro.measure.mixtures import Mixture, mixture_of, uniform_play
from psro.measure.simple_play import uniform
from psro.runs import experiment
from psro.runs.config import RunConfig
from psro.runs.setup import network_of

GAMES = ("kuhn_poker", "leduc_poker", "liars_dice(numdice=1)")
"""Small games of imperfect information, in the order of their sizes."""
ITERATIONS = 3
"""Iterations of the short runs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibrated:
    """An exploiter's result against a population whose exploitability is known.

    Attributes:
        game: the game's name.
        population: the opponents, in words.
        exploitability: the exact one.
        found: what the exploiter found.
    """

    game: str
    population: str
    exploitability: float
    found: Exploitation

    @property
    def share(self) -> float:
        """The part of the exact exploitability that was found."""
        return self.found.approximate_exploitability / self.exploitability

    @property
    def share_error(self) -> float:
        """Its standard error."""
        return self.found.standard_error / self.exploitability


def calibrate(
    exploiter: Exploiter, config: RunConfig, names: tuple[str, ...] = GAMES
) -> Iterator[Calibrated]:
    """Exploits, in each game, uniform random play and the population of a short run.

    The run of `ITERATIONS` iterations trains on the whole tree, so that it costs seconds and its
    policies are good. Networks have the cell and the numbers of `config`.

    Args:
        exploiter: as it is used elsewhere.
        config: of the run whose exploiter is calibrated.
        names: the games.
    """
    for name in names:
        like = RunConfig(
            game=name,
            iterations=ITERATIONS,
            oracle="full_width",
            cell=config.cell,
            dtype=config.dtype,
            network=config.network,
            dreamer=config.dreamer,
            seed=config.seed,
        )
        with tempfile.TemporaryDirectory() as folder:
            run = experiment.run(like, Path(folder) / "run")
        game = run.setup.game
        oracle, size = exploiter.settings.name, exploiter.hidden_size
        network = network_of(oracle, like, game, hidden_size=size)

        def found(mixture: Mixture, game=game, network=network) -> Exploitation:
            return exploit(game, mixture, network, exploiter, seed=config.seed)

        yield Calibrated(
            game=name,
            population="uniform play",
            exploitability=exact.exploitability(run.tree, uniform(run.tree)).exploitability,
            found=found(uniform_play(game)),
        )
        yield Calibrated(
            game=name,
            population=f"a run of {ITERATIONS} iterations",
            exploitability=run.exploitability(),
            found=found(mixture_of(run)),
        )
