"""The play of a small game's mixture at each info state, as tables of words."""

from __future__ import annotations

import base64
import dataclasses
import math

import numpy as np

import games
from games.named import Named
from psro.exact.details import Details, details
from psro.runs import experiment, strategies
from psro.runs.folder import Snapshot
from psro.views.numbers import percent, three_digits
from psro.views.page.known import EQUILIBRIA, Family
from psro.views.tree_drawing import MAX_LEAVES, svg

MAX_HISTORIES = 20_000
"""A game with more is not loaded for a page (Leduc poker has 9,457)."""
MAX_INFO_STATES = 3_000
"""A table of more makes the page heavy (Leduc poker has 936)."""
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
        values: what each action earns if the mixture is followed afterwards, float64
            `[len(actions)]`; NaN where the others never lead.
        regret: what the best action earns more than the mixture; NaN as before.
    """

    name: str
    reached: float
    allowed: float
    actions: list[str]
    probabilities: np.ndarray
    values: np.ndarray
    regret: float


def behaviour(run: Snapshot) -> list[list[InfoState]] | None:
    """The play of each player's mixture at each of its info states, those first that are reached
    most. If policies are drawn together, it is the play of the player's marginal. None if the game
    is too large for a table or is not enumerated, or if no iteration is finished.

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
    return [
        _of_player(opened.tree, p, own, measured)
        for p, (own, measured) in enumerate(_profile(opened))
    ]


def _profile(opened: experiment.Experiment) -> list[tuple[np.ndarray, Details]]:
    """Each player's behaviour `[S_p]`, and what it leads to."""
    behaviours = strategies.behaviours(opened)
    return list(zip(behaviours, details(opened.tree, behaviours), strict=True))


def _of_player(tree: games.GameTree, p: int, own: np.ndarray, measured: Details) -> list[InfoState]:
    named, player = Named(tree), tree.players[p]
    names = named.actions[p]
    return [
        InfoState(
            name=player.names[i],
            reached=float(measured.reach[i]),
            allowed=float(measured.allowed[i]),
            actions=names[first:end],
            probabilities=own[first:end],
            values=measured.action_value[first:end],
            regret=float(measured.regret[i]),
        )
        for i in np.argsort(-measured.reach, kind="stable")
        for first, end in [player.first_sequence[i : i + 2]]
    ]


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


def values_in_words(info_state: InfoState) -> str:
    """`Pass −1.00, Bet +0.333`: what each action earns, in the order of actions."""
    if np.isnan(info_state.values).any():
        return "–"
    both = zip(info_state.actions, info_state.values, strict=True)
    return ", ".join(f"{action} {three_digits(value, sign=True)}" for action, value in both)


def drawing(run: Snapshot) -> list[dict]:
    """The drawn tree of a small game with the mixture's probabilities, as an image; none if it is
    too large."""
    opened = experiment.load(run.folder)
    if opened.tree is None or opened.tree.num_terminals > MAX_LEAVES:
        return []
    drawn = svg(opened.tree, strategies.behaviours(opened)).encode()
    return [
        {
            "id": "tree",
            "title": "The game, with the mixture's probabilities",
            "source": f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}",
            "alt": f"The tree of {opened.tree.name} with the probability of each action",
        }
    ]


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
            "columns": ["info set", "what the mixture does", "reached", "values", "regret"],
            "rows": [
                [
                    state.name,
                    in_words(state),
                    percent(state.reached),
                    values_in_words(state),
                    "–" if math.isnan(state.regret) else three_digits(state.regret),
                ]
                for state in own
            ],
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
