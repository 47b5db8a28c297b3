"""Beliefs and outcomes of a solution, by name."""

from __future__ import annotations

import numpy as np

from games.named import Named
from games.readers.nodes import Node, nodes
from games.tree import GameTree
from psro.exact.beliefs import Beliefs, beliefs, outcomes
from psro.exact.details import details
from psro.metagame.solve import Equilibrium
from psro.views.numbers import percent

MAX_NODES = 5_000
"""Beliefs of a game with more histories are not listed."""

MOST_SHOWN = 20
"""Info sets whose beliefs are printed."""


def listed_nodes(tree: GameTree) -> list[Node] | None:
    """The nodes of a small game; None for a larger one."""
    return nodes(tree) if tree.num_histories <= MAX_NODES else None


def of_equilibrium(tree: GameTree, listed: list[Node], one: Equilibrium) -> Beliefs:
    """The beliefs of an equilibrium; where it is a limit of the logit correspondence, also at info
    sets that play does not reach."""
    if one.logs is not None:
        ends = np.cumsum([player.num_sequences - 1 for player in tree.players])[:-1]
        logs = [np.append(0.0, own) for own in np.split(one.logs, ends)]
    else:
        with np.errstate(divide="ignore"):
            logs = [np.log(own) for own in one.behaviours]
    return beliefs(tree, listed, logs)


def sentences(named: Named, listed: list[Node], one: Equilibrium) -> list[str]:
    """A line for each info set with several histories, those that are reached most first, as in
    the tables; and one for named outcomes."""
    lines = []
    reach = [measured.reach for measured in details(named.tree, one.behaviours)]
    believed = of_equilibrium(named.tree, listed, one)
    for p, i in sorted(believed, key=lambda place: (place[0], -reach[place[0]][place[1]], place)):
        possible = believed[p, i]
        where = named.players[p] if named.is_one_shot else named.info_states[p][i]
        if possible is None:
            lines.append(f"beliefs at {where}: not determined, nobody leads there")
        else:
            said = [f"{name} {percent(share)}" for name, share in possible.items() if share > 5e-4]
            lines.append(f"beliefs at {where}: {'; '.join(said)}")
    if len(lines) > MOST_SHOWN:
        lines = [*lines[:MOST_SHOWN], "... and more beliefs; --json has all"]
    return [*lines, *outcome_sentence(named.tree, listed, one)]


def outcome_sentence(tree: GameTree, listed: list[Node], one: Equilibrium) -> list[str]:
    """One line on the outcomes that have names; none if there are none."""
    known = outcomes(tree, listed, one.behaviours)
    said = [f"{name} {percent(share)}" for name, share in known.items() if share > 5e-4]
    return [f"outcomes: {'; '.join(said)}"] if said else []
