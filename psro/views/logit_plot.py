"""The logit correspondence drawn: probabilities of actions against lambda."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from games.named import Named
from psro.metagame.solve import Solved
from psro.views.settings import without_mathematics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS = 12
"""Info sets that are drawn: those that the last point of the path reaches most."""

_COLUMNS = 3


def path_figure(solved: Solved) -> Figure:
    """A panel for each info set, with a line for each action, from the first point after uniform
    play on."""
    from matplotlib.figure import Figure

    from psro.exact.details import details

    named, path = Named(solved.tree), solved.path
    reached = [
        (float(own.reach[i]), p, i)
        for p, own in enumerate(details(solved.tree, path[-1][1]))
        for i in range(len(own.reach))
    ]
    drawn = sorted(reached, key=lambda item: -item[0])[:MOST_PANELS]
    drawn = sorted((p, i) for _, p, i in drawn)
    rows = -(-len(drawn) // _COLUMNS)
    figure = Figure(figsize=(4 * min(len(drawn), _COLUMNS), 3 * rows), layout="constrained")
    axes = figure.subplots(rows, min(len(drawn), _COLUMNS), squeeze=False, sharey=True)
    path = [(precision, behaviours) for precision, behaviours in path if precision > 0]
    precisions = np.array([precision for precision, _ in path])
    for panel, (p, i) in zip(axes.flat, drawn, strict=False):
        first, end = solved.tree.players[p].first_sequence[i : i + 2]
        ends = [float(path[-1][1][p][s]) for s in range(first, end)]
        for s in range(first, end):
            shares = [behaviours[p][s] for _, behaviours in path]
            panel.plot(precisions, shares, label=without_mathematics(named.actions[p][s]))
        where = "" if named.is_one_shot else f": {named.info_states[p][i]}"
        panel.set_title(without_mathematics(f"{named.players[p]}{where}"), fontsize=9)
        panel.set_xscale("log")
        panel.set_ylim(-0.02, 1.02)
        panel.legend(fontsize=7, loc="center right", bbox_to_anchor=(1, free_height(ends)))
    for panel in axes.flat[len(drawn) :]:
        panel.set_visible(False)
    figure.supxlabel("lambda", fontsize=9)
    figure.supylabel("probability", fontsize=9)
    return figure


def free_height(ends: Sequence[float]) -> float:
    """The middle of the widest gap between probabilities: at the right, where curves are flat, a
    legend there hides none of them."""
    marks = sorted({0.0, 1.0, *ends})
    low, high = max(itertools.pairwise(marks), key=lambda gap: gap[1] - gap[0])
    return (low + high) / 2
