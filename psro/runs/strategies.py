"""What the mixture of a run does at every info state, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from games.named import Named
from games.tree import GameTree
from psro import exact
from psro.exact.details import details

if TYPE_CHECKING:
    import pandas as pd

    from psro.runs.experiment import Experiment


def behaviours(run: Experiment) -> list[np.ndarray]:
    """Each player's mixed behaviour, `[S_p]`; of a correlated meta-strategy, its own marginal's.

    Raises:
        SettingsError: the game is not enumerated.
        ExperimentError: no iteration is finished.
    """
    tree = run.needs_tree("a table of strategies")
    mixture = run.meta_game.mixture(run.meta_strategy)
    return [exact.behaviour(own, plan) for own, plan in zip(tree.players, mixture, strict=True)]


def table(tree: GameTree, profile: list[np.ndarray]) -> pd.DataFrame:
    """A row for each action of each info state, the info states that are reached most first.

    Columns: `player`, `info_set` and `action` by name; `probability` of the action; `reach`, the
    probability that an episode comes to the info state; `value`, what the player expects there if
    it takes the action and follows the profile afterwards; and `regret`, what its best action there
    earns more than the profile. Values are missing where the other players never lead.

    Args:
        tree: the game.
        profile: each player's behaviour, `[S_p]`.
    """
    import pandas as pd  # here, not above: it takes a third of a second

    named, parts = Named(tree), []
    for p, measured in enumerate(details(tree, profile)):
        own = tree.players[p]
        rank = np.empty(own.num_info_states, np.int64)
        rank[np.argsort(-measured.reach, kind="stable")] = np.arange(own.num_info_states)
        order = 1 + np.argsort(rank[own.info_state[1:]], kind="stable")
        states = own.info_state[order]
        parts.append(
            pd.DataFrame(
                {
                    "player": named.players[p],
                    "info_set": [named.info_states[p][i] for i in states],
                    "action": [named.actions[p][s] for s in order],
                    "probability": profile[p][order],
                    "reach": measured.reach[states],
                    "value": measured.action_value[order],
                    "regret": measured.regret[states],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
