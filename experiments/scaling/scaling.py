"""How time and memory grow with the number of histories, 10^3 to 10^7.

    python experiments/scaling/scaling.py

Two families of games, each in a process of its own: Liar's Dice with one die of 3 to 8 sides, and
Leduc poker with decks of 6 to 52 cards
and three raises in the first round. Measured of each, in CPU seconds of the process (all
threads together, so that other work on the machine counts for little):

- compile: enumerating the game into a tree; its bytes per history at rest (arrays and names) and at
  the peak (the process's largest resident memory, less that before);
- NashConv of a random policy of each player;
- payoff row: one more policy of one player against 8 of the other's;
- tabulate: an LSTM of 16 units at every info state of both players, as behaviours; compiling the
  network's code excluded.

Writes scaling.csv, scaling.md (the table, and the slope of each line on logarithmic axes, fitted
over games of 10,000 histories and more; 1 is linear) and scaling.png beside this file.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import matplotlib.figure
import numpy as np
import pandas as pd

import games
from games.tree import GameTree, PlayerTree
from psro import exact
from psro.policies.policy import Policy, Tabulator

LEDUC = (
    "universal_poker(betting=limit,numPlayers=2,numRounds=2,blind=1 1,raiseSize=2 4,"
    "firstPlayer=1 1,maxRaises=3 2,numSuits={suits},numRanks={ranks},numHoleCards=1,"
    "numBoardCards=0 1)"
)
FAMILIES = {
    "Liar's Dice, one die of 3 to 8 sides": [
        (1_147, "liars_dice(numdice=1,dice_sides=3)"),
        (8_187, "liars_dice(numdice=1,dice_sides=4)"),
        (51_181, "liars_dice(numdice=1,dice_sides=5)"),
        (294_883, "liars_dice(numdice=1,dice_sides=6)"),
        (1_605_591, "liars_dice(numdice=1,dice_sides=7)"),
        (8_388_553, "liars_dice(numdice=1,dice_sides=8)"),
    ],
    "Leduc poker, 6 to 52 cards": [
        (13_237, LEDUC.format(suits=2, ranks=3)),
        (139_000, LEDUC.format(suits=4, ranks=3)),
        (721_000, LEDUC.format(suits=4, ranks=5)),
        (3_140_000, LEDUC.format(suits=4, ranks=8)),
        (13_978_745, LEDUC.format(suits=4, ranks=13)),
    ],
}
"""Histories, roughly, and the game."""

QUANTITIES = {
    "compile_seconds": "compile",
    "nash_conv_seconds": "NashConv",
    "payoff_row_seconds": "payoff row",
    "tabulate_seconds": "tabulate",
    "rest_bytes": "tree at rest",
    "peak_bytes": "peak while compiling",
}
_FITTED_FROM = 10_000
_OPPONENTS = 8
_HIDDEN_SIZE = 16


def least_seconds(function: Callable[[], object], repeats: int) -> float:
    """Least CPU seconds of several calls."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return min(seconds)


def resident() -> int:
    """The most bytes of memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def num_bytes(tree: GameTree) -> int:
    """Of all arrays and names."""
    held = [vars(tree), *map(vars, tree.players)]
    parts = {id(value): getattr(value, "nbytes", 0) for each in held for value in each.values()}
    return sum(parts.values())


def random_plan(player: PlayerTree, generator: np.random.Generator) -> np.ndarray:
    weight = generator.exponential(size=player.num_sequences)
    total = np.bincount(player.info_state[1:], weights=weight[1:])
    weight[1:] /= total[player.info_state[1:]]
    return exact.realization_plan(player, weight)


def measure(name: str) -> dict[str, float]:
    """One row of the table; to be called once in a process, because its memory is measured."""
    games.load("kuhn_poker")  # what is loaded once does not count
    before, start = resident(), time.process_time()
    tree = games.load(name, cache="")
    row = {
        "histories": tree.num_histories,
        "info_states": tree.num_info_states,
        "compile_seconds": time.process_time() - start,
        "peak_bytes": resident() - before,
        "rest_bytes": num_bytes(tree),
    }
    generator = np.random.default_rng(0)
    repeats = 7 if tree.num_histories < 10**6 else 2
    plans = [
        np.stack([random_plan(player, generator) for _ in range(_OPPONENTS)])
        for player in tree.players
    ]
    profile = [each[0] for each in plans]
    row["nash_conv_seconds"] = least_seconds(lambda: exact.exploitability(tree, profile), repeats)
    row["payoff_row_seconds"] = least_seconds(
        lambda: exact.payoffs(tree, [plans[0][:1], plans[1]]), repeats
    )
    policy = Policy(
        observation_space=tree.observation_space,
        action_space=tree.action_space,
        hidden_size=_HIDDEN_SIZE,
        cell="lstm",
    )
    params = policy.init_many(jax.random.split(jax.random.key(0), tree.num_players))
    tabulate = Tabulator(policy, tree)
    tabulate(params)
    row["tabulate_seconds"] = least_seconds(lambda: tabulate(params), repeats)
    return row


def slopes(rows: pd.DataFrame) -> dict[str, float]:
    """Exponents of growth, by least squares on logarithms; NaN with fewer than two games."""
    large = rows[rows["histories"] >= _FITTED_FROM]
    if len(large) < 2:
        return dict.fromkeys(QUANTITIES, float("nan"))
    histories = np.log(large["histories"])
    return {name: np.polyfit(histories, np.log(large[name]), 1)[0] for name in QUANTITIES}


def markdown(table: pd.DataFrame) -> str:
    lines = [
        "CPU seconds, and bytes per history.",
        "",
        "| game | histories | info states | compile | NashConv | payoff row | tabulate | "
        "bytes at rest | at the peak | histories compiled per second |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for family, rows in table.groupby("family", sort=False):
        for row in rows.to_dict("records"):
            count = row["histories"]
            seconds = " | ".join(
                f"{row[name]:.2g}" for name in QUANTITIES if name.endswith("seconds")
            )
            memory = f"{row['rest_bytes'] / count:.0f} | {row['peak_bytes'] / count:.0f}"
            lines.append(
                f"| {family} | {count:,} | {row['info_states']:,} | {seconds} | {memory} | "
                f"{count / row['compile_seconds']:,.0f} |"
            )
        growth = slopes(rows)
        cells = " | ".join(f"{growth[name]:.2f}" for name in QUANTITIES)
        lines.append(f"| *slope* |  |  | {cells} |  |")
    return "\n".join(lines) + "\n"


def figure(table: pd.DataFrame) -> matplotlib.figure.Figure:
    drawn = matplotlib.figure.Figure(figsize=(10, 4.2), dpi=160, layout="constrained")
    for axes, unit in zip(drawn.subplots(1, 2), ("seconds", "bytes"), strict=True):
        for style, (family, rows) in zip("-:", table.groupby("family", sort=False), strict=False):
            growth = slopes(rows)
            chosen = [name for name in QUANTITIES if name.endswith(unit)]
            for colour, name in enumerate(chosen):
                label = f"{QUANTITIES[name]}, {family.split(',')[0]}: slope {growth[name]:.2f}"
                line = {"linestyle": style, "color": f"C{colour}", "marker": "o", "markersize": 3}
                axes.loglog(rows["histories"], rows[name], label=label, **line)
        axes.set(xlabel="histories", ylabel="CPU seconds" if unit == "seconds" else unit)
        axes.legend(fontsize=6)
        axes.grid(alpha=0.3)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most-histories", type=int, default=20_000_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = []
    # A process a game, forked after importing and before JAX has started a thread.
    warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        for family, members in FAMILIES.items():
            for size, name in members:
                if size <= arguments.most_histories:
                    rows.append({"family": family, **pool.apply(measure, (name,))})
                    pd.DataFrame(rows).to_csv(arguments.out / "scaling.csv", index=False)
    table = pd.DataFrame(rows)
    (arguments.out / "scaling.md").write_text(markdown(table))
    figure(table).savefig(arguments.out / "scaling.png")
    print(markdown(table))


if __name__ == "__main__":
    main()
