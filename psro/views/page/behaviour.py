"""What the mixture of a small game's run does at each info state, as tables of words."""

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
"""More would make a table that nobody reads (Kuhn poker has 12, for three players 48)."""
MAX_ACTIONS = 40
"""More actions of one info state do not fit into a sentence."""

NEVER = 1e-9
"""An info state to which a player's own moves lead more rarely is never reached: what its policy
does there means nothing. Info states that only opponents avoid count: opponents may change."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InfoState:
    """What a mixture does at one.

    Attributes:
        name: OpenSpiel's string, or what the game's file calls it.
        reached: probability that an episode comes here when everybody follows the mixture.
        allowed: probability that the player itself plays its part of the way here.
        actions: names of the legal actions, see `games.action_names`.
        probabilities: how often the mixture plays each, float64 `[len(actions)]`.
    """

    name: str
    reached: float
    allowed: float
    actions: list[str]
    probabilities: np.ndarray


def behaviour(run: Snapshot) -> list[list[InfoState]] | None:
    """What each player's mixture does at each of its info states, from the first decision on; by
    its own marginal, where policies are drawn together. None where the game is too large for a
    table, or nothing is trained.

    Raises:
        ExperimentError: the folder is damaged.
    """
    if not run.records:
        return None
    try:
        tree = games.load(run.game, observation=run.config.observation, max_histories=MAX_HISTORIES)
    except games.GameError:  # of a game that was run: it has more histories
        return None
    most = max(np.diff(player.first_sequence).max(initial=0) for player in tree.players)
    if tree.num_info_states > MAX_INFO_STATES or most > MAX_ACTIONS:
        return None
    opened = experiment.load(run.folder)
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
    """`Pass 79 %, Bet 21 %`, the likeliest first; nothing where the mixture itself never comes."""
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
    """One table a player, for a page: title, columns, rows, note. A cell is a text or a bar,
    `{"share", "range"}`, whose `range` of two shares is marked, where there is one."""
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
    """What a player does beside the equilibria of its game."""
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
            f"They are one for each α from 0 to {family.most:.4g}, a shaded range here; the "
            f"nearest to this mixture has α = {alpha:.4f}."
        )
    else:
        note += f"Player {player} plays the same in all of them, a mark here."
    return {
        "id": f"behaviour-{player}",
        "title": f"Player {player}",
        "columns": ["holding", "the mixture", "", "equilibrium"],
        "rows": rows,
        "note": note,
    }
