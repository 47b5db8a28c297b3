"""The exact engine on Kuhn poker, with the numbers that `docs/mathematics.md` works out by hand."""

from __future__ import annotations

import numpy as np

import games
from psro import exact
from psro.exact import sequence_form
from psro.metagame import joint_gaps
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.strategy import MetaStrategy

PASS, BET = 0, 1  # with a bet on the table: fold and call


def always(player: games.PlayerTree, action: int) -> np.ndarray:
    """The behaviour `[S]` of playing `action` whatever happens."""
    behaviour = np.where(player.action == action, 1.0, 0.0)
    behaviour[0] = 1.0  # the empty sequence
    return behaviour


def numbers() -> dict[str, float]:
    """By the names that they have in the page's table."""
    tree = games.load("kuhn_poker")
    uniform = [
        exact.realization_plan(player, exact.uniform_behaviour(player)) for player in tree.players
    ]
    of_uniform = exact.exploitability(tree, uniform)

    # Two policies a player, in this order: always pass, always bet.
    behaviours = [np.stack([always(each, PASS), always(each, BET)]) for each in tree.players]
    plans = [exact.realization_plan(*each) for each in zip(tree.players, behaviours, strict=True)]
    meta_game = ExactMetaGame.of(tree, plans)
    payoffs = meta_game.payoffs
    half = np.array([0.5, 0.5])

    # After a pass and a bet, player 0 is where only its first policy leads.
    me = tree.players[0]
    there = list(me.names).index("0pb")
    call = me.first_sequence[there] + BET
    mixed = exact.behaviour(me, exact.mix(plans[0], half))[call]
    averaged = half @ behaviours[0][:, call]

    joint = MetaStrategy.of(np.diag(half))  # both pass, or both bet
    cce = joint_gaps.coarse_correlated_gap(meta_game, joint)
    ce = joint_gaps.correlated_gap(meta_game, joint)
    population = sequence_form.population_exploitability(tree, plans).measured
    return {
        "uniform: value for player 0": of_uniform.value[0],
        "uniform: best response of player 0": of_uniform.best_response_value[0],
        "uniform: best response of player 1": of_uniform.best_response_value[1],
        "uniform: NashConv": of_uniform.nash_conv,
        "uniform: exploitability": of_uniform.exploitability,
        "pass against pass": payoffs[0, 0, 0],
        "pass against bet": payoffs[0, 0, 1],
        "bet against pass": payoffs[0, 1, 0],
        "bet against bet": payoffs[0, 1, 1],
        "half and half: calls with a jack, realization plans mixed": mixed,
        "half and half: calls with a jack, probabilities averaged": averaged,
        "joint: value for player 0": cce.value[0],
        "joint: player 0 gains by refusing": cce.gains[0],
        "joint: player 1 gains by refusing": cce.gains[1],
        "joint: CCE gap": cce.gap,
        "joint: player 0 gains by deviating": ce.gains[0],
        "joint: player 1 gains by deviating": ce.gains[1],
        "joint: CE gap": ce.gap,
        "population exploitability": population.exploitability,
        "the game: value for player 0": sequence_form.equilibrium(tree).value[0],
    }


if __name__ == "__main__":
    for name, number in numbers().items():
        print(f"{name:60} {number:+.6f}")
