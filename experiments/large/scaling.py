"""What a pass that gives both players' gains takes, from 10^5 to 3·10^10 histories.

    python experiments/large/scaling.py                    # up to 2·10^9 histories
    python experiments/large/scaling.py --most 4e10        # all
    python experiments/large/scaling.py --plot scaling.png < scaling.tsv

Three ways to know a game: enumerated trees, public states (dice), and walked boards, of which
cells are taken out to make smaller ones. A line for each game, and for each way the slope of
seconds and of bytes on a log plot: what they grow by when there are ten times as many histories, as
a power of ten. CPU seconds are of all threads, and of a second pass: the first touches memory.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

import games
from games.form import Form
from games.public import public_tree
from games.walked import walked_rules
from games.walked.tree import WalkedTree
from psro.measure.simple_play import uniform

DICE = "liars_dice(numdice={},dice_sides={})"
TREES = (
    "dark_hex(num_rows=2,num_cols=3)", "liars_dice(numdice=1)", DICE.format(2, 3),
    "leduc_poker(players=3)",
)  # fmt: skip
PUBLIC = tuple(DICE.format(*size) for size in ((1, 6), (2, 3), (1, 9), (2, 4), (1, 11), (2, 5)))
WALKED = (
    "phantom_ttt", "dark_hex(board_size=3)", "phantom_ttt(gameversion=abrupt)",
    "dark_hex(board_size=3,gameversion=adh)",
)  # fmt: skip
COLUMNS = ("form", "game", "histories", "info states", "CPU s", "bytes")


def forms(most: float) -> Iterator[tuple[str, str, Callable[[], Form]]]:
    """The kind of each form, the game, and what opens it."""
    for name in TREES:
        yield "tree", name, lambda name=name: games.load(name, max_histories=min(int(most), 10**8))
    for name in PUBLIC:
        yield "public", name, lambda name=name: public_tree(name)
    for name in WALKED:
        rules = walked_rules(name)
        for taken in range(3, -1, -1):
            blocked = (1 << 9) - (1 << 9 - taken)
            board = dataclasses.replace(rules, blocked=blocked)
            kind = "walked, abrupt" if rules.passes else "walked"
            without = f" without {taken} cells" if taken else ""
            yield kind, name + without, lambda board=board: WalkedTree.of(board)


def measured(opens: Callable[[], Form], most: float) -> tuple[int, int, float, int] | None:
    """Histories, info states, CPU seconds and bytes; None if there are more histories."""
    form = opens()
    if form.num_histories > most:
        return None
    plans = uniform(form)
    form.begin_pass(plans)
    begin, passes = time.process_time(), 0
    while time.process_time() - begin < 0.2:
        form.returns_and_gains(plans)
        passes += 1
    seconds = (time.process_time() - begin) / passes
    return form.num_histories, form.num_info_states, seconds, form.nbytes


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Of a line through points on a log plot, by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def say_slopes(rows: dict[str, list[tuple[float, float, float]]]) -> None:
    for kind, points in rows.items():
        histories, seconds, size = np.array(points).T
        if len(points) > 1:
            print(
                f"# {kind}: seconds grow with the {slope(histories, seconds):.2f}th power of the "
                f"histories, bytes with the {slope(histories, size):.2f}th",
                flush=True,
            )


def plot(rows: dict[str, list[tuple[float, float, float]]], file: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axis, column, label in zip(axes, (1, 2), ("CPU seconds of a pass", "bytes"), strict=True):
        for kind, points in rows.items():
            table = np.array(sorted(points))
            axis.plot(table[:, 0], table[:, column], "o-", label=kind, markersize=4)
        begin = np.array([1e5, 3e10])
        at = np.array(rows["tree"])[0, column] if "tree" in rows else 1e-3
        axis.plot(begin, at * begin / begin[0], ":", color="grey", label="slope 1")
        axis.set(xscale="log", yscale="log", xlabel="histories", ylabel=label)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.savefig(file, dpi=150)


def read(lines: Iterator[str]) -> dict[str, list[tuple[float, float, float]]]:
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for line in lines:
        if line.startswith("#") or line.startswith(COLUMNS[0] + "\t"):
            continue
        kind, _, histories, _, seconds, size = line.rstrip("\n").split("\t")
        rows.setdefault(kind, []).append((float(histories), float(seconds), float(size)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=float, default=2e9, help="histories of the largest game")
    parser.add_argument("--plot", metavar="FILE", help="only draw the table on standard input")
    arguments = parser.parse_args()
    if arguments.plot:
        plot(read(sys.stdin), arguments.plot)
        return
    rows: dict[str, list[tuple[float, float, float]]] = {}
    print("\t".join(COLUMNS))
    for kind, name, opens in forms(arguments.most):
        try:
            figures = measured(opens, arguments.most)
        except games.GameError as error:  # too large to enumerate
            print(f"# {name}: {error}", flush=True)
            continue
        if figures is None:
            continue
        histories, info_states, seconds, size = figures
        rows.setdefault(kind, []).append((histories, seconds, size))
        print(f"{kind}\t{name}\t{histories}\t{info_states}\t{seconds:.6f}\t{size}", flush=True)
    say_slopes(rows)


if __name__ == "__main__":
    main()
