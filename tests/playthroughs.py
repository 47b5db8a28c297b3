"""Playthroughs: small runs as text, recorded under `playthroughs/` and compared by the suite.

Write them again after a change that is meant (and read the diff before it is committed):

    make playthroughs

A cell is a game and a variant with exact best responses. What is recorded of every iteration is its
record, the support of its meta-strategy, and checksums of the payoff table, of a correlated
meta-strategy and of all policies. Several equilibria of a meta-game can be equally good, and the
last bits of a sum, which differ between processors, may decide for one of them: every cell is also
run with payoffs and gains off by 1e-14 of themselves, and recorded as far as both runs agree.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import itertools
import math
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np

import psro
from psro import exact
from psro.metagame.solvers import META_SOLVERS
from psro.metagame.solving import GAME_SOLVERS
from psro.metagame.strategy import MetaStrategy
from psro.runs import experiment
from psro.runs.config import RunConfig
from psro.variants.published import VARIANTS

FOLDER = Path(__file__).with_suffix("")
ITERATIONS = 6
NOISE = 1e-14
END = "not recorded: what follows, where several equilibria are equally good"
TOLERANCE = 2e-9
"""Of a number, or of 1 where that is more: how far it may be from what was recorded."""

ZERO_SUM = [
    name
    for name, variant in VARIANTS.items()
    if "oracle" not in variant.settings
    and "self_play" not in variant.settings
    and variant.settings.get("init", "scratch") == "scratch"
]
"""All variants but those of networks: they start from weights, share them, or learn together."""
ANY_PLAYERS = ["self_play", "fictitious_play", "alpha_psro", "jpsro_cce", "jpsro_ce"]
GENERAL_SUM = ["psro_prd", "psro_rrd", *ANY_PLAYERS]
GAMES = {
    "kuhn_poker": ZERO_SUM,
    "goofspiel(imp_info=True,num_cards=3,points_order=descending)": [
        "psro_qre", "fictitious_play", "xdo", "dch",
    ],
    "cycles.csv": ["psro", "psro_rn", "apsro", "odo"],
    "kuhn_poker(players=3)": ANY_PLAYERS,
    "matrix_bos": GENERAL_SUM,
    "tiny_hanabi": ["psro_rrd", "jpsro_cce"],
    "entry.efg": ["alpha_psro", "jpsro_cce"],
}  # fmt: skip
UNIQUE = {"p2sro": "regularized_replicator", "dch": "regularized_replicator"}
"""Meta-solvers instead of Nash, which is not unique as soon as one of several levels has copies."""
CELLS = [(game, variant) for game, variants in GAMES.items() for variant in variants]


def path_of(game: str, variant: str) -> Path:
    return FOLDER / f"{re.sub('[^A-Za-z0-9]+', '_', game).strip('_')}-{variant}.txt"


def config_of(game: str, variant: str) -> RunConfig:
    here = [path for path in (FOLDER / game, FOLDER.parent / game) if path.is_file()]
    settings = {**VARIANTS[variant].settings, "rounds": 3, "levels": 2, "tolerance": 0.0}
    return RunConfig.from_json(
        {
            **{name: dict(v) if name == "ppo" else v for name, v in settings.items()},
            **({"meta_solver": UNIQUE[variant]} if variant in UNIQUE else {}),
            "game": str(here[0] if here else game),
            "oracle": "best_response",
            "iterations": ITERATIONS,
        }
    )


def checksum(numbers: np.ndarray) -> float:
    """A sum in which no two entries count alike."""
    return float(np.ravel(numbers) @ np.cos(1 + np.arange(np.size(numbers))))


def written(*numbers: float) -> str:
    return " ".join(f"{number:.10g}" for number in numbers)


def lines_of(iteration: int, record: psro.Record, run: psro.Experiment) -> Iterator[str]:
    """What is recorded of one iteration."""
    yield f"iteration {iteration}: {record.size} policies, support {list(record.support_size)}"
    for name in ("exploitability", "nash_conv", "cce_gap", "ce_gap", "meta_regret"):
        if getattr(record, name) is not None:
            yield f"  {name}: {written(getattr(record, name))}"
    for name in ("value", "best_response_value", "achieved_value", "improvement", "gap"):
        if getattr(record, name) is not None:
            yield f"  {name}: {written(*getattr(record, name))}"
    for player, strategy in enumerate(run.meta_strategy):
        support = np.flatnonzero(strategy > 1e-6)
        weights = ", ".join(f"{written(strategy[k])} of {k}" for k in support)
        yield f"  player {player} plays {weights}"
    if run.joint is not None:
        yield f"  joint: checksum {written(checksum(run.joint))}"
    shape = "x".join(map(str, run.payoffs.shape[1:]))
    yield f"  payoffs {shape}: checksums {written(*map(checksum, run.payoffs))}"
    yield f"  policies: checksums {written(*map(checksum, run.plans))}"


def played(game: str, variant: str) -> list[str]:
    """A cell's lines."""
    lines = [f"{variant} plays {game} with exact best responses"]
    with tempfile.TemporaryDirectory() as folder:
        run = experiment.create(config_of(game, variant), Path(folder) / "run")
        for record in run.train():
            lines += lines_of(record.iteration, record, run)
    return [*lines, f"ended: {run.ended}"]


@contextlib.contextmanager
def noise(seed: int) -> Iterator[None]:
    """Payoffs and gains are off in their last bits, for all players alike (a sum of zero stays)."""
    rng, called = np.random.default_rng(seed), set()
    payoffs, gains_and_reach = exact.payoffs, exact.gains_and_reach

    def noisy(numbers, shape):
        return numbers * (1 + NOISE * rng.uniform(-1, 1, shape))

    def noisy_payoffs(*arguments):
        called.add("payoffs")
        table = payoffs(*arguments)
        return noisy(table, table.shape[1:])

    def noisy_gains(*arguments):
        called.add("gains")
        gains, reach = gains_and_reach(*arguments)
        return noisy(gains, gains.shape), reach

    with (
        mock.patch.object(exact, "payoffs", noisy_payoffs),
        mock.patch.object(exact, "gains_and_reach", noisy_gains),
    ):
        yield
    assert "payoffs" in called, "runs do not call what this replaces"


@contextlib.contextmanager
def reversed_order() -> Iterator[None]:
    """Linear programs over a population get its policies in reverse order: where several
    equilibria are equally good, they find another one."""
    by_table, by_game = META_SOLVERS["nash"], GAME_SOLVERS["least_exploitable"]

    def nash(payoffs):
        return [each[::-1] for each in by_table.function(payoffs[:, ::-1, ::-1])]

    def least_exploitable(meta_game):
        backwards = meta_game.take(range(meta_game.size)[::-1])
        found = by_game.function(backwards)
        return MetaStrategy(marginals=tuple(each[::-1] for each in found.marginals))

    table = {"nash": dataclasses.replace(by_table, function=nash)}
    game = {"least_exploitable": dataclasses.replace(by_game, function=least_exploitable)}
    with mock.patch.dict(META_SOLVERS, table), mock.patch.dict(GAME_SOLVERS, game):
        yield


NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def same(one: str, other: str) -> bool:
    """Whether two lines say the same, numbers within the tolerance."""
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(
        math.isclose(float(a), float(b), rel_tol=TOLERANCE, abs_tol=TOLERANCE) for a, b in pairs
    )


def agreed(lines: list[str], others: list[str]) -> list[str]:
    """The iterations before the first line in which two runs differ."""
    kept = lines if lines[-1] != END else lines[:-1]
    others = others if kept is lines else others[: len(kept)]
    pairs = itertools.zip_longest(kept, others, fillvalue="")
    different = [number for number, pair in enumerate(pairs) if not same(*pair)]
    if not different:
        return lines
    begins = [n for n, line in enumerate(kept[: different[0] + 1]) if line.startswith("iteration")]
    return [*kept[: begins[-1]], END]


def differences(recorded: list[str], lines: list[str]) -> list[str]:
    """A diff for people; empty where all that was recorded is still so."""
    if recorded[-1] == END:
        lines = [*lines[: len(recorded) - 1], END]
    pairs = itertools.zip_longest(recorded, lines)
    now = [old if old and new and same(old, new) else new for old, new in pairs]
    now = [line for line in now if line is not None]
    return list(difflib.unified_diff(recorded, now, "recorded", "now", lineterm=""))


def main() -> None:
    for path in set(FOLDER.glob("*.txt")) - {path_of(*cell) for cell in CELLS}:
        path.unlink()
    for game, variant in CELLS:
        lines = played(game, variant)
        for otherwise in (noise(0), noise(1), reversed_order()):
            with otherwise:
                lines = agreed(lines, played(game, variant))
        path_of(game, variant).write_text("\n".join(lines) + "\n")
        iterations = sum(line.startswith("iteration") for line in lines)
        print(f"{path_of(game, variant).name}: {iterations} iterations, {lines[-1]}")


if __name__ == "__main__":
    main()
