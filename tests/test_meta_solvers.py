"""Meta-solvers: a contract for all of them, and for `nash` the certificate that it promises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from games import units
from psro.metagame.solvers import (
    META_SOLVERS,
    MetaSolverError,
    cce_gains,
    ce_gains,
    joint_of,
    marginals,
    nash,
    regrets,
)


def zero_sum(row) -> np.ndarray:
    """`[2, K_0, K_1]` from the row player's payoffs."""
    row = np.asarray(row, float)
    return np.stack([row, -row])


def assert_equilibrium(payoffs: np.ndarray, strategies: list[np.ndarray]) -> None:
    """Distributions from which nobody gains; the gains are written out here, not called."""
    scale = max(1.0, np.abs(payoffs).max())
    row, column = strategies
    assert row.shape == (payoffs.shape[1],) and column.shape == (payoffs.shape[2],)
    for strategy in strategies:
        assert (strategy >= 0).all()
        assert strategy.sum() == pytest.approx(1, abs=1e-12)
    assert (payoffs[0] @ column).max() - row @ payoffs[0] @ column <= 1e-9 * scale
    assert (row @ payoffs[1]).max() - row @ payoffs[1] @ column <= 1e-9 * scale


def value(row) -> float:
    payoffs = zero_sum(row)
    strategies = nash(payoffs)
    assert_equilibrium(payoffs, strategies)
    return strategies[0] @ payoffs[0] @ strategies[1]


def game(solver: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random payoffs of a kind that the solver is for."""
    payoffs = np.random.default_rng(seed).normal(size=(len(shape), *shape))
    if META_SOLVERS[solver].symmetric:
        payoffs[1] = payoffs[0].T
    return payoffs


def solved(solver: str, payoffs: np.ndarray) -> np.ndarray:
    """The joint, whatever the solver returns."""
    found = META_SOLVERS[solver](payoffs)
    return found if META_SOLVERS[solver].joint else joint_of(found)


def shapes(solver: str) -> list[tuple[int, ...]]:
    facts = META_SOLVERS[solver]
    if facts.symmetric:
        return [(1, 1), (2, 2), (5, 5)]
    two = [(1, 1), (1, 4), (3, 1), (2, 2), (5, 3)]
    return two if facts.num_players == 2 else [*two, (2, 3, 4), (1, 1, 3), (2, 2, 2, 2)]


EACH = [(solver, shape) for solver in META_SOLVERS for shape in shapes(solver)]
UNIQUE = [
    *("uniform", "fictitious_play", "regret_matching", "replicator", "projected_replicator"),
    *("hedge", "regularized_replicator", "qre", "alpha_rank", "mgcce", "mgce", "mecce", "mece"),
]
"""Solvers whose solution does not depend on how policies are numbered."""


# The contract


@pytest.mark.parametrize("solver, shape", EACH)
def test_results_are_distributions(solver, shape):
    payoffs = game(solver, shape, seed=sum(shape))
    before = payoffs.copy()
    found = META_SOLVERS[solver](payoffs)
    if META_SOLVERS[solver].joint:
        assert isinstance(found, np.ndarray) and found.shape == shape
    else:
        assert isinstance(found, list)
        assert [each.shape for each in found] == [(size,) for size in shape]
    for each in [found] if META_SOLVERS[solver].joint else found:
        assert each.dtype == np.float64
        assert (each >= 0).all()
        assert each.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(payoffs, before)


@pytest.mark.parametrize("solver, shape", [each for each in EACH if META_SOLVERS[each[0]].concept])
@pytest.mark.parametrize("integers", [True, False])
def test_results_are_the_equilibria_that_they_claim_to_be(solver, shape, integers):
    """Gains written out here, not called. Integers: ties, and constraints that say the same."""
    concept, num_players = META_SOLVERS[solver].concept, len(shape)
    payoffs = game(solver, shape, seed=1)
    if integers:
        payoffs = np.round(payoffs)
    joint = solved(solver, payoffs)
    for p, q in itertools.product(range(num_players), repeat=2):
        span = np.ptp(payoffs[p])
        for played in range(shape[p]):
            gain = (np.take(payoffs[p], [played], axis=p) - payoffs[p]) * joint
            if concept in ("nash", "cce"):
                assert gain.sum() <= 1e-7 * span
            if concept == "ce":
                by_recommendation = gain.sum(axis=tuple(r for r in range(num_players) if r != p))
                assert by_recommendation.max() <= 1e-7 * span
        if concept == "nash" and p != q:
            np.testing.assert_allclose(joint, joint_of(marginals(joint)), atol=1e-12)


@pytest.mark.parametrize("solver", META_SOLVERS)
def test_solving_twice_gives_the_same(solver):
    """A resumed run must take the same path; ties make several equilibria possible."""
    payoffs = np.round(game(solver, (6, 6)))
    if not META_SOLVERS[solver].symmetric:
        payoffs[1] = -payoffs[0]
    np.testing.assert_array_equal(*(solved(solver, payoffs) for _ in range(2)))


@pytest.mark.parametrize("solver", UNIQUE)
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2)])
def test_the_numbering_of_policies_does_not_matter(solver, shape):
    payoffs = game(solver, shape, seed=2)
    generator = np.random.default_rng(3)
    order = np.ix_(*(generator.permutation(size) for size in shape))
    permuted = np.stack([table[order] for table in payoffs])
    np.testing.assert_allclose(solved(solver, permuted), solved(solver, payoffs)[order], atol=1e-5)


@pytest.mark.parametrize("solver", META_SOLVERS)
@pytest.mark.parametrize("factor, shift", [(1e-6, 0.0), (1e6, 3e5)])
def test_units_of_payoffs_do_not_matter(solver, factor, shift):
    """Neither a player's scale nor its zero; another player keeps its own, unless payoffs are
    compared between players."""
    payoffs = game(solver, (4, 4), seed=4)
    moved = payoffs * factor + shift
    if solver not in ("mwce", "mwcce") and not META_SOLVERS[solver].symmetric:
        moved[1] = payoffs[1]
    np.testing.assert_allclose(solved(solver, moved), solved(solver, payoffs), atol=1e-5)


def regret_share(solver: str, payoffs: np.ndarray, joint: np.ndarray) -> float:
    """What a deviation of the solver's concept gains, as a share of the player's span."""
    spans = np.array([max(np.ptp(table), 1e-300) for table in payoffs])
    if META_SOLVERS[solver].concept == "ce":
        return max(g.sum() / span for g, span in zip(ce_gains(payoffs, joint), spans, strict=True))
    return float((cce_gains(payoffs, joint) / spans).max())


@pytest.mark.parametrize("solver", [name for name in META_SOLVERS if META_SOLVERS[name].concept])
@pytest.mark.parametrize("sums", ["zero", "general"])
def test_equilibria_of_a_game_in_any_unit(solver, sums):
    """`a * payoffs + b`, with b up to ten thousand spans, is the same game: the solution of the one
    is an equilibrium of the other, to a share of the span."""
    row = np.random.default_rng(8).normal(size=(5, 4))
    payoffs = np.stack([row, -row]) if sums == "zero" else game(solver, (5, 4), seed=9)
    for factor in (1e-300, 1e-11, 1.0, 1e11, 1e290):
        for shift in (0.0, 3.0, -1e4):
            joint = solved(solver, factor * (payoffs + shift))
            assert regret_share(solver, payoffs, joint) <= 1e-7, (factor, shift)


@pytest.mark.parametrize("factor", [1e-11, 1.0, 1e11])
def test_a_constant_does_not_make_a_game_zero_sum(factor):
    """The sums of these payoffs differ by more than half of the span, which is far less than a
    thousandth of the payoffs themselves."""
    payoffs = game("nash", (4, 4), seed=10)
    moved = factor * (payoffs + 1e10)
    joint = joint_of(nash(moved))
    assert regret_share("nash", payoffs, joint) <= 1e-6
    assert units.is_constant_sum(factor * (zero_sum(payoffs[0]) + 1e10))
    assert not units.is_constant_sum(moved)


@pytest.mark.parametrize("solver", META_SOLVERS)
def test_policies_that_come_back(solver):
    """Each policy twice, and once more almost: a population that converges."""
    payoffs = game(solver, (3, 3), seed=5)
    twice = np.tile(payoffs, (1, 3, 3))
    noise = 1e-9 * np.random.default_rng(6).normal(size=(9, 9))
    noise[:6, :6] = 0
    twice += np.stack([noise, noise.T])
    joint = solved(solver, twice)
    assert joint.sum() == pytest.approx(1, abs=1e-9) and (joint >= 0).all()
    if META_SOLVERS[solver].concept == "ce":
        assert max(each.max() for each in ce_gains(twice, joint)) <= 1e-6
    if META_SOLVERS[solver].concept in ("nash", "cce"):
        assert cce_gains(twice, joint).max() <= 1e-6


@pytest.mark.parametrize("solver", META_SOLVERS)
def test_a_game_in_which_nothing_matters(solver):
    joint = solved(solver, np.full((2, 3, 3), -2.5))
    assert joint.sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("solver", META_SOLVERS)
@pytest.mark.parametrize(
    "payoffs, word",
    [
        (np.zeros((2, 3)), r"\[2, 3\]"),
        (np.zeros((3, 2, 2)), r"\[3, 2, 2\]"),
        (np.float64(1.0), "shape"),
        (np.zeros((2, 0, 0)), "one policy"),
        (np.full((2, 2, 2), np.nan), "finite"),
        (np.array([[[np.inf, 0], [0, 0]], [[0, 0], [0, 0]]]), "finite"),
    ],
)
def test_what_is_no_table_of_payoffs_is_refused_in_a_sentence(solver, payoffs, word):
    with pytest.raises(MetaSolverError, match=word) as caught:
        META_SOLVERS[solver](payoffs)
    assert solver in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("solver", [s for s in META_SOLVERS if META_SOLVERS[s].num_players])
def test_three_players_are_refused_where_the_facts_say_so(solver):
    with pytest.raises(MetaSolverError, match="use "):
        META_SOLVERS[solver](np.zeros((3, 2, 2, 2)))


def test_every_solver_is_registered_under_its_own_name():
    assert all(name == solver.function.__name__ for name, solver in META_SOLVERS.items())
    for solver in META_SOLVERS.values():
        assert solver.joint or solver.concept in ("nash", None)


def test_uniform_is_uniform():
    for strategy in META_SOLVERS["uniform"](np.zeros((3, 2, 5, 1))):
        assert len(set(strategy)) == 1


def test_self_play_meets_the_newest():
    three, one = META_SOLVERS["last"](np.zeros((2, 3, 1)))
    assert three.tolist() == [0, 0, 1] and one.tolist() == [1]
    seven, two = META_SOLVERS["last_k"](np.zeros((2, 7, 2)))
    np.testing.assert_allclose(seven, [0, 0, *[0.2] * 5])
    np.testing.assert_allclose(two, 0.5)
    five, two = META_SOLVERS["suffix_average"](np.zeros((2, 5, 2)))
    np.testing.assert_allclose(five, [0, 0, *[1 / 3] * 3])
    assert two.tolist() == [0, 1]


# The certificate of nash


SHAPES = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 3), (3, 8), (20, 20), (60, 9), (60, 60)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_nobody_gains_in_gaussian_games(shape, seed):
    payoffs = zero_sum(np.random.default_rng(seed).normal(size=shape))
    assert_equilibrium(payoffs, nash(payoffs))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_nobody_gains_where_payoffs_tie(shape, seed):
    """Integers in [-2, 2]: degenerate programs, many equilibria."""
    payoffs = zero_sum(np.random.default_rng(seed).integers(-2, 3, size=shape))
    assert_equilibrium(payoffs, nash(payoffs))


@pytest.mark.parametrize("seed", range(60))
def test_no_3_by_3_game_is_missed(seed):
    """Where nashpy's support enumeration finds nothing for about one in eight."""
    payoffs = zero_sum(np.random.default_rng(seed).normal(size=(3, 3)))
    assert_equilibrium(payoffs, nash(payoffs))


def with_near_duplicates(size: int, noise: float, seed: int, *, integers: bool) -> np.ndarray:
    """A population that repeats itself: every policy comes back a little changed."""
    generator = np.random.default_rng(seed)
    row = generator.normal(size=(size, size))
    if integers:
        row = generator.integers(-2, 3, size=(size, size)).astype(float)
    row = np.vstack([row, row + noise * generator.normal(size=row.shape)])
    return np.hstack([row, row + noise * generator.normal(size=row.shape)])


@pytest.mark.parametrize("size", [1, 3, 20])
@pytest.mark.parametrize("noise", [0, 1e-12, 1e-10, 1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_nobody_gains_among_near_duplicates(size, noise, integers, seed):
    payoffs = zero_sum(with_near_duplicates(size, noise, seed, integers=integers))
    assert_equilibrium(payoffs, nash(payoffs))


@pytest.mark.parametrize("size", [3, 8])
@pytest.mark.parametrize("noise", [1e-9, 1e-8, 1e-7, 1e-6])
@pytest.mark.parametrize("seed", range(5))
def test_differences_of_the_solver_s_own_tolerance(size, noise, seed):
    """HiGHS stops within 1e-7, so here an uncorrected answer would leave a gain."""
    payoffs = zero_sum(with_near_duplicates(size, noise, seed, integers=False))
    assert_equilibrium(payoffs, nash(payoffs))


def test_a_population_that_repeats_itself_to_a_few_parts_in_ten_million():
    """Two policies each, both found again: 4 x 4, and the supports are not those HiGHS reports."""
    row = np.tile([[-1.0, -1.0], [-2.0, 2.0]], (2, 2))
    row += 1e-7 * np.array([[0, 0, -1, -7], [0, 0, 1, -2], [-1, -4, 0, 3], [-4, 6, 4, 3]])
    payoffs = zero_sum(row)
    assert_equilibrium(payoffs, nash(payoffs))


@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("antisymmetric", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_nobody_gains_in_tables_of_low_rank(rank, antisymmetric, seed):
    """Real meta-games are nearly so: a few skills, and a cycle (Czarnecki et al. 2020,
    "Real World Games Look Like Spinning Tops")."""
    generator = np.random.default_rng(seed)
    row = generator.normal(size=(40, rank)) @ generator.normal(size=(rank, 40))
    if antisymmetric:
        row = row - row.T
    payoffs = zero_sum(row)
    assert_equilibrium(payoffs, nash(payoffs))


@pytest.mark.parametrize("seed", range(5))
def test_nobody_gains_while_a_population_grows_towards_a_point(seed):
    """Policies of iteration k differ from the limit by 2^-k, as under fictitious play."""
    generator = np.random.default_rng(seed)
    game = generator.normal(size=(6, 6))
    rows, columns = (
        generator.dirichlet(np.ones(6)) + 0.5 ** np.arange(30)[:, None] * generator.normal(size=6)
        for _ in range(2)
    )
    for k in (1, 2, 5, 10, 20, 30):
        payoffs = zero_sum(rows[:k] @ game @ columns[:k].T)
        assert_equilibrium(payoffs, nash(payoffs))


def test_a_game_without_any_difference():
    for row in (np.zeros((4, 6)), np.full((3, 3), -2.5)):
        assert_equilibrium(zero_sum(row), nash(zero_sum(row)))


# Known values


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(
    "row, expected",
    [
        ([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], 0),  # rock, paper, scissors
        ([[1, -1], [-1, 1]], 0),  # matching pennies
        ([[3, -1], [-1, 1]], 1 / 3),  # (ad - bc) / (a + d - b - c)
        ([[2, 5], [1, 9]], 2),  # a saddle point
        ([[4], [7], [-1]], 7),
        ([[4, 7, -1]], -1),
        (np.diag([1.0, 2.0, 4.0]), 4 / 7),  # 1 / sum(1 / d)
        (np.diag(np.arange(1.0, 13.0)), 1 / (1 / np.arange(1.0, 13.0)).sum()),
    ],
)
def test_known_games_have_their_value(row, expected, scale):
    assert value(scale * np.asarray(row, float)) == pytest.approx(
        scale * expected, abs=1e-9 * scale
    )


def test_rock_paper_scissors_is_played_evenly():
    """The only equilibrium, so here strategies may be compared."""
    for strategy in nash(zero_sum([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])):
        np.testing.assert_allclose(strategy, 1 / 3, atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_random_2_by_2_games_have_the_textbook_value(seed):
    (a, b), (c, d) = row = np.random.default_rng(seed).normal(size=(2, 2))
    pure = row.min(axis=1).max(), row.max(axis=0).min()
    expected = pure[0] if pure[0] == pure[1] else (a * d - b * c) / (a + d - b - c)
    assert value(row) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("seed", range(3))
def test_units_of_payoff_do_not_matter(factor, seed):
    """The same relative regret in small units, where the absolute limit would forgive anything."""
    row = np.random.default_rng(seed).normal(size=(10, 12))
    payoffs = factor * zero_sum(row)
    strategies = nash(payoffs)
    assert regrets(payoffs, strategies).max() <= 1e-9 * factor * np.abs(row).max()
    assert value(factor * row) == pytest.approx(factor * value(row), rel=1e-8)


@pytest.mark.parametrize("total", [-3.0, 20.0, 1e4])
def test_a_constant_sum_is_as_good_as_zero(total):
    payoffs = zero_sum(np.random.default_rng(1).normal(size=(6, 8)))
    shifted = payoffs + total / 2
    strategies = nash(shifted)
    assert_equilibrium(shifted, strategies)
    # the same game, so the same certificate without the shift
    assert regrets(payoffs, strategies).max() <= 1e-9 * max(1.0, abs(total))
    lopsided = payoffs + np.array([total, 0.0])[:, None, None]  # all of it to one player
    assert_equilibrium(lopsided, nash(lopsided))


# What nash refuses


@pytest.mark.parametrize(
    "payoffs, words",
    [
        (np.zeros((3, 2, 2, 2)), ["two players", "3", "mgcce", "uniform"]),
        (np.full((2, 3, 3), np.nan), ["finite"]),
        ([[[np.nan, 0], [0, 1]], [[0, 0], [0, -1]]], ["finite"]),
    ],
    ids=["three players", "all NaN", "one NaN"],
)
def test_what_nash_cannot_solve_is_refused_in_a_sentence(payoffs, words):
    with pytest.raises(MetaSolverError) as caught:
        nash(np.asarray(payoffs, float))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_infinite_payoffs_are_refused():
    with pytest.raises(MetaSolverError, match="finite"):
        nash(zero_sum([[np.inf, 0], [0, 1]]))


# Regrets


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (2, 3, 4), (2, 1, 3), (2, 2, 2, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_regrets_are_those_of_brute_force(shape, seed):
    """Expected payoffs cell by cell, with each player's strategy replaced by each pure one."""
    generator = np.random.default_rng(seed)
    payoffs = generator.normal(size=(len(shape), *shape))
    strategies = [generator.dirichlet(np.ones(size)) for size in shape]

    def expected(player, profile):
        return sum(
            np.prod([s[k] for s, k in zip(profile, cell, strict=True)]) * payoffs[(player, *cell)]
            for cell in itertools.product(*map(range, shape))
        )

    gains = []
    for player, size in enumerate(shape):
        deviations = [
            expected(player, [*strategies[:player], pure, *strategies[player + 1 :]])
            for pure in np.eye(size)
        ]
        gains.append(max(deviations) - expected(player, strategies))
    np.testing.assert_allclose(regrets(payoffs, strategies), gains, atol=1e-12)


def test_a_pure_equilibrium_has_no_regret():
    """Prisoner's dilemma: both defect, though both would rather not."""
    payoffs = np.array([[[3, 0], [5, 1]], [[3, 5], [0, 1]]], float)
    cooperate, defect = np.eye(2)
    np.testing.assert_array_equal(regrets(payoffs, [defect, defect]), [0, 0])
    np.testing.assert_array_equal(regrets(payoffs, [cooperate, cooperate]), [2, 2])
    np.testing.assert_array_equal(regrets(payoffs, [cooperate, defect]), [1, 0])


def test_nothing_that_fails_its_certificate_is_a_nash_equilibrium(monkeypatch):
    """Candidates off by more than rounding: the best of them where that is little, else none."""
    pennies = np.array([[1.0, -1.0], [-1.0, 1.0]])
    payoffs = np.stack([pennies, -pennies])

    def shifted(*by):  # gains of 2 * by
        each = [[np.array([0.5 + d, 0.5 - d]), np.array([0.5, 0.5])] for d in by]
        monkeypatch.setitem(nash.__globals__, "_candidates", lambda row: iter(each))

    little = nash.__globals__["FALLBACK_TOLERANCE"] / 4
    assert little > nash.__globals__["TOLERANCE"]
    shifted(0.2, little, 0.1)
    np.testing.assert_allclose(regrets(payoffs, nash(payoffs)).max(), 2 * little, rtol=1e-6)
    shifted(0.2, 0.1)
    with pytest.raises(MetaSolverError, match="2 x 2 .* its certificate: .* a gain of 0.2 of half"):
        nash(payoffs)
