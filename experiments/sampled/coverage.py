"""Are sampled figures honest? Sampled runs of small games beside the exact truth.

    python experiments/sampled/coverage.py [--runs 5] [--iterations 8] [--seed 0]

Each run is trained and measured by episodes alone. Afterwards its policies are tabulated in the
enumerated game. The script prints, for each game, which share of the payoffs' 95 % intervals hold
the exact payoff, and how far the free lower bound of NashConv is below the exact NashConv of the
same meta-strategy, at worst, in standard errors.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import jax
import numpy as np

import games
import psro
import psro.oracles
from psro import exact
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.policies.policy import Tabulator
from psro.runs.experiment import create
from psro.training.record import QUANTILE

GAMES = (
    "kuhn_poker",
    "leduc_poker",
    "liars_dice(numdice=1)",
    "goofspiel(imp_info=True,num_cards=4,points_order=descending)",
)
_DECISIONS = 32_768
"""Of each best response: how strong they are does not matter here."""


def truth(run: psro.Experiment, tree: games.GameTree) -> ExactMetaGame:
    """The exact meta-game of a sampled run's policies."""
    tabulate = Tabulator(run.policy_network, tree)
    slots = range(run.meta_game.size)
    behaviours = [
        tabulate(jax.tree.map(lambda *leaves, k=k: np.stack([leaf[k] for leaf in leaves]), *seats))
        for seats in [run.populations]
        for k in slots
    ]
    return ExactMetaGame.empty(tree).put(slots, behaviours)


def compare(game: str, *, iterations: int, seed: int, folder: Path) -> tuple[np.ndarray, list]:
    """The payoffs' errors in standard errors `[cells]`, of player 0, and of each iteration (bound -
    exact NashConv) in standard errors of the bound."""
    config = psro.RunConfig(
        game=game,
        evaluation="sampled",
        iterations=iterations,
        seed=seed,
        ppo=psro.oracles.PPOConfig(decisions=_DECISIONS),
    )
    run = create(config, folder / f"{seed}-{abs(hash(game))}")
    strategies = []
    for _ in run.train():
        strategies.append([weights.copy() for weights in run.meta_strategy])
    tree = games.load(game)
    known = truth(run, tree)
    sampled = run.meta_game
    difference = sampled.payoffs[0] - known.payoffs[0]
    error = sampled.standard_error[0]
    apart = np.where(error > 0, difference / np.maximum(error, 1e-300), np.sign(difference) * 1e9)
    apart = np.where(np.abs(difference) < 1e-6, 0.0, apart)
    bounds = []
    for before, record in zip(strategies, run.records[1:], strict=False):
        size = len(before[0])
        plans = [
            exact.mix(plan[:size], weights)
            for plan, weights in zip(known.plans, before, strict=True)
        ]
        nash_conv = exact.exploitability(tree, plans).nash_conv
        gap = record.nash_conv_bound - nash_conv
        bounds.append((gap, record.nash_conv_bound_error))
    return apart.ravel(), bounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    total, held, worst = 0, 0, []
    print("| game | cells | 95 % intervals that hold | bounds | worst bound, standard errors |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for game in GAMES:
            apart, bounds = [], []
            for seed in range(options.seed, options.seed + options.runs):
                more, of_run = compare(
                    game, iterations=options.iterations, seed=seed, folder=Path(folder)
                )
                apart.append(more)
                bounds += of_run
            apart = np.concatenate(apart)
            holds = np.abs(apart) <= QUANTILE
            most = max(gap / max(error, 1e-12) for gap, error in bounds)
            total, held = total + len(apart), held + holds.sum()
            worst.append(most)
            print(f"| {game} | {len(apart)} | {holds.mean():.1%} | {len(bounds)} | {most:+.2f} |")
    print(f"\nall: {total} cells, {held / total:.1%} of the 95 % intervals hold the exact payoff")
    print(
        f"the worst free lower bound is {max(worst):+.2f} standard errors above the exact NashConv"
    )


if __name__ == "__main__":
    main()
