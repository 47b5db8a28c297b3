"""Exact evaluation of trained populations and their meta-strategy, as `psro eval` prints it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from games.form import Form
from games.tree import GameTree
from games.units import without_rounding
from psro import exact
from psro.exact import sequence_form
from psro.metagame import effective_diversity as diversity
from psro.metagame import ratings
from psro.metagame.exact_meta_game import ExactMetaGame
from psro.metagame.form_meta_game import FormMetaGame
from psro.metagame.gaps import gaps_of
from psro.metagame.least_exploitable import LeastExploitable, least_exploitable
from psro.metagame.solvers import MetaSolverError
from psro.metagame.strategy import MetaStrategy

MAX_SEQUENCES = 10_000
"""Linear programs over the sequence form are solved by default in games with at most this many
sequences, of both players together: within a second (Leduc poker has 2,186, one-die Liar's Dice
49,142)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """P players, K_p policies of each, in units of the game's payoff.

    Attributes:
        mixture: value and NashConv of the meta-strategy; of a joint, those of the product of its
            marginals.
        cce_gap: of the joint meta-strategy, `joint_gaps.CoarseCorrelatedGap.gap`.
        ce_gap: of the joint meta-strategy, `joint_gaps.CorrelatedGap.gap`. When players draw
            independently, both gaps are the NashConv.
        policies: value and NashConv of pure profiles; in the k-th, every player uses policy k.
        worst_case: in a two-player zero-sum game, the return of each player's policy k against a
            best response to it, `[2, K]`; otherwise None.
        diversity: the populations' expected cardinality, `[P]`.
        elo_like: ratings of all policies.
        nash_average: Nash averaging of all policies; None unless two-player zero-sum.
        population: the populations' least exploitable mixtures; None if not computed.
        equilibrium: an equilibrium of the whole game; None if not computed.
        omitted: one sentence for each quantity that was not computed, with the reason.
    """

    mixture: exact.Exploitability
    cce_gap: float
    ce_gap: float
    policies: tuple[exact.Exploitability, ...]
    worst_case: np.ndarray | None
    diversity: np.ndarray
    elo_like: ratings.Ratings
    nash_average: ratings.NashAverage | None
    population: sequence_form.PopulationExploitability | LeastExploitable | None
    equilibrium: sequence_form.Equilibrium | None
    omitted: tuple[str, ...]


def evaluate(
    meta_game: ExactMetaGame | FormMetaGame,
    strategy: MetaStrategy,
    *,
    programs: bool = False,
    exploitability: Callable[[Sequence[np.ndarray]], exact.Exploitability] | None = None,
) -> Evaluation:
    """Measures the populations of a meta-game under a meta-strategy.

    Args:
        meta_game: all policies and their payoffs.
        strategy: the meta-strategy.
        programs: solve the linear programs over the sequence form in games of any size. In a game
            that is not enumerated, the populations' least exploitable mixtures are found by cuts.
        exploitability: function of plans; by default numpy's, or
            `on_devices.DeviceTree.exploitability`.

    Raises:
        SequenceFormError: `programs` in a game that is not two-player zero-sum.
    """
    tree, payoffs = meta_game.tree, meta_game.payoffs
    gaps = gaps_of(meta_game, strategy, "ce", exploitability)
    pure = [[weights] * tree.num_players for weights in np.eye(meta_game.size)]
    policies = tuple(meta_game.exploitability(profile, exploitability) for profile in pure)
    zero_sum = tree.num_players == 2 and tree.is_constant_sum
    worst_case = nash_average = population = equilibrium = None
    omitted = []
    if zero_sum:
        best = np.array([measured.best_response_value for measured in policies])  # [K, 2]
        worst_case = (gaps.independent.value.sum() - best[:, ::-1]).T
        worst_case = without_rounding(worst_case, meta_game.rounding)
        try:
            nash_average = ratings.nash_average(payoffs)
        except (ratings.RatingError, MetaSolverError) as error:
            omitted.append(f"no Nash averaging: {error}")
    if not isinstance(meta_game, ExactMetaGame):
        omitted.append("no value of the game: it is not enumerated")
        if programs:
            population = least_exploitable(meta_game)
        else:
            omitted.append("no population exploitability; --equilibrium finds it")
    elif programs or (zero_sum and num_sequences(tree) <= MAX_SEQUENCES):
        equilibrium = sequence_form.equilibrium(tree)
        population = sequence_form.population_exploitability(tree, meta_game.plans)
    else:
        omitted.append(_no_programs(tree, zero_sum))
    return Evaluation(
        mixture=gaps.independent,
        cce_gap=gaps.nash_conv if strategy.joint is None else gaps.cce_gap,
        ce_gap=gaps.nash_conv if strategy.joint is None else gaps.ce_gap,
        policies=policies,
        worst_case=worst_case,
        diversity=diversity.effective_diversity(payoffs),
        elo_like=ratings.elo_like(payoffs),
        nash_average=nash_average,
        population=population,
        equilibrium=equilibrium,
        omitted=tuple(omitted),
    )


def _no_programs(tree: GameTree, zero_sum: bool) -> str:
    """Why no linear program was solved."""
    if zero_sum:
        return (
            f"no population exploitability and no value of the game: its {num_sequences(tree):,} "
            "sequences make long programs; --equilibrium solves them"
        )
    return (
        "no population exploitability, value of the game, worst cases or Nash averaging: those "
        "are for two-player zero-sum games"
    )


def num_sequences(tree: Form) -> int:
    """The number of sequences of all players together."""
    return sum(player.num_sequences for player in tree.players)
