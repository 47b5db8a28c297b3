"""The play of a small game's mixture at each info state, as tables of words."""

from __future__ import annotations

import dataclasses

import numpy as np

import games
from psro import exact
from psro.runs import experiment
from psro.runs.folder import Snapshot
from psro.views.numbers import percent
from psro.views.page.known import EQUILIBRIA, Family

MAX_HISTORIES = 5_000
"""A game with more is not loaded for a page (Kuhn poker has 55)."""
MAX_INFO_STATES = 400
"""A table of more is too long to read (Kuhn poker has 12, for three players 48)."""
MAX_ACTIONS = 40
"""More actions of one info state do not fit into a sentence."""

NEVER = 1e-9
"""An info state that a player's own moves reach with a lower probability counts as never reached:
its policy there has no meaning. Info states that only opponents avoid do count, because opponents
may change."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InfoState:
    """The play of a mixture at one info state.

    Attributes:
        name: OpenSpiel's string, or the name in the game's file.
        reached: probability that an episode comes here if all players follow the mixture.
        allowed: probability that the player's own moves lead here.
        actions: names of the legal actions, see `games.action_names`.
        probabilities: probability of each action in the mixture, float64 `[len(actions)]`.
    """

    name: str
    reached: float
    allowed: float
    actions: list[str]
    probabilities: np.ndarray


def behaviour(run: Snapshot) -> list[list[InfoState]] | None:
    """The play of each player's mixture at each of its info states, from the first decision on. If
    policies are drawn together, it is the play of the player's marginal. None if the game is too
    large for a table or is not enumerated, or if no iteration is finished.

    Raises:
        ExperimentError: the folder is damaged.
    """
    if not run.records or run.is_sampled:
        return None
    try:
        tree = games.load(run.game, observation=run.config.observation, max_histories=MAX_HISTORIES)
    except games.GameError:  # of a game that was run: it has more histories
        return None
    most = max(np.diff(player.first_sequence).max(initial=0) for player in tree.players)
    if tree.num_info_states > MAX_INFO_STATES or most > MAX_ACTIONS:
        return None
    opened = experiment.load(run.folder)
    if opened.tree is None:  # the run itself enumerates fewer histories
        return None
    tree, names = opened.tree, games.action_names(opened.tree)
    mixture = [
        exact.mix(plans, weights)
        for plans, weights in zip(opened.plans, opened.meta_strategy, strict=True)
    ]
    result = []
    for p, player in enumerate(tree.players):
        probabilities = exact.behaviour(player, mixture[p])
        by_others = exact.info_state_reach(tree, p, exact.opponent_reach(tree, p, mixture))
        reached = by_others * mixture[p][player.parent]
        by_depth = sorted(
            range(player.num_info_states),
            key=lambda i, own=player: (np.searchsorted(own.level_start, i, "right"), own.names[i]),
        )
        result.append(
            [
                InfoState(
                    name=player.names[i],
                    reached=float(reached[i]),
                    allowed=float(mixture[p][player.parent[i]]),
                    actions=names[p][first:end],
                    probabilities=probabilities[first:end],
                )
                for i in by_depth
                for first, end in [player.first_sequence[i : i + 2]]
            ]
        )
    return result


def in_words(info_state: InfoState) -> str:
    """`Pass 79 %, Bet 21 %`, the likeliest action first; `never comes here` if the mixture's own
    moves never lead here."""
    if info_state.allowed <= NEVER:
        return "never comes here"
    order = np.argsort(-info_state.probabilities, kind="stable")
    said = [
        f"{info_state.actions[a]} {percent(info_state.probabilities[a])}"
        for a in order
        if info_state.probabilities[a] >= 0.0005
    ]
    return ", ".join(said)


def tables(run: Snapshot, players: list[list[InfoState]]) -> list[dict]:
    """One table for each player: title, columns, rows, note. A cell is a text or a bar, `{"share",
    "range"}`. If there is a `range` of two shares, the page marks it."""
    family = EQUILIBRIA.get(run.config.game)
    if family:
        return [_beside(family, p, own) for p, own in enumerate(players)]
    names = [run.player_name(p, begins=True) for p in range(len(players))]
    return [
        {
            "id": f"behaviour-{p}",
            "title": names[p],
            "columns": ["info state", "what the mixture does", "reached"],
            "rows": [[state.name, in_words(state), percent(state.reached)] for state in own],
            "note": "" if own else f"{names[p]} decides nothing in this game.",
        }
        for p, own in enumerate(players)
    ]


def _beside(family: Family, player: int, own: list[InfoState]) -> dict:
    """A player's play beside the equilibria of the game."""
    frequencies = {
        state.name: float(state.probabilities[1]) for state in own if state.allowed > NEVER
    }
    alpha = family.nearest(frequencies, player)
    depends = any(choice.slope for choice in family.choices[player].values())
    rows = []
    for name, choice in family.choices[player].items():
        ends = sorted((choice.frequency(0.0), choice.frequency(family.most)))
        rows.append(
            [
                choice.situation,
                f"{choice.does} {percent(frequencies[name])}"
                if name in frequencies
                else "never comes here",
                {"share": frequencies.get(name, 0.0), "range": ends},
                f"{choice.formula} = {percent(choice.frequency(alpha))}"
                if choice.slope
                else percent(choice.constant),
            ]
        )
    note = f"Equilibria: {family.source}. "
    if depends:
        note += (
            f"There is one for each α from 0 to {family.most:.4g}; the shaded range shows them. "
            f"The nearest to this mixture has α = {alpha:.4f}."
        )
    else:
        note += f"Player {player} plays the same in all of them; a mark shows it."
    return {
        "id": f"behaviour-{player}",
        "title": f"Player {player}",
        "columns": ["holding", "the mixture", "", "equilibrium"],
        "rows": rows,
        "note": note,
    }
