"""Games that are measured by episodes: payoffs, bounds, the loop, and what is refused."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probes import policy_for

import games
import psro
from games.game import Game, State
from games.public import PublicTree
from games.readers.opening import open_game
from games.spaces import Box, Discrete
from games.tree_game import TreeGame
from psro import exact
from psro.errors import SettingsError
from psro.metagame.meta_game import MetaGame
from psro.metagame.solving import solver_of
from psro.metagame.strategy import MetaStrategy
from psro.metagame.target import Target
from psro.oracles import PPOConfig
from psro.oracles.rollout import Rollout
from psro.policies.policy import Policy, Tabulator, at_temperature
from psro.policies.population import Population
from psro.runs.experiment import create
from psro.runs.fitting import with_defaults
from psro.training.matches import Matches
from psro.training.record import Record, why_ended
from psro.training.sampled import SampledEvaluator, _pooled, value_error

TINY = PPOConfig(decisions=256, num_envs=32, num_strata=4, evaluations=1, num_minibatches=1)
CONFIG = psro.RunConfig(
    game="kuhn_poker",
    evaluation="sampled",
    hidden_size=4,
    iterations=3,
    payoff_episodes=128,
    ppo=TINY,
)


@functools.cache
def measured(name, size=3):
    """Random recurrent policies of a game, their matches, and their exact payoffs."""
    tree = games.load(name)
    game = TreeGame(tree, known=False)
    policy = policy_for(tree, hidden_size=8, cell="gru")
    population = Population.empty(4)
    tabulate, behaviours = Tabulator(policy, tree), []
    for k in range(size):
        keys = jax.random.split(jax.random.key(k), tree.num_players)
        params = jax.device_get(policy.init_many(keys))
        params["temperature"] = np.full(tree.num_players, 0.05, np.float32)  # far from uniform
        population = population.add(params)
        behaviours.append(tabulate(params))
    plans = [
        np.stack([exact.realization_plan(player, b[p]) for b in behaviours])
        for p, player in enumerate(tree.players)
    ]
    matches = Matches(game, policy, episodes=64, at_once=16)
    return tree, population, matches, exact.payoffs(tree, plans)


@functools.cache
def table(name):
    """The sampled meta-game of `measured`."""
    tree, population, matches, _ = measured(name)
    evaluator = SampledEvaluator(
        matches=matches,
        first_matches=16,
        error=0.0,
        total=TreeGame(tree).utility_sum,
        softmax=False,
    )
    key = jax.random.key(5)
    return evaluator.put(evaluator.empty(), population, [0, 1, 2], key, lambda part: None)


@pytest.mark.parametrize("name", ["leduc_poker", "kuhn_poker(players=3)"])
def test_sampled_payoffs_are_the_exact_ones_within_their_errors(name):
    """Recurrent policies that are far from uniform: a carry that is wrong shows at once."""
    *_, payoffs = measured(name)
    sampled = table(name)
    assert (sampled.episodes == 1024).all()
    apart = np.abs(sampled.payoffs - payoffs)
    assert (apart <= 4.5 * sampled.standard_error + 1e-6).all()
    inside = (apart <= 1.96 * sampled.standard_error + 1e-6).mean()
    assert inside > 0.85
    assert sampled.standard_error.max() > 0.01


def test_bits_do_not_depend_on_the_order_or_the_neighbours():
    """Matches alone, all together, and in another order."""
    _, population, matches, _ = measured("leduc_poker")
    profiles = np.array(list(itertools.product(range(3), repeat=2)))
    keys = jax.random.split(jax.random.key(1), len(profiles))
    together = matches(population.params, profiles, keys).returns
    order = np.random.default_rng(0).permutation(len(profiles))
    again = matches(population.params, profiles[order], keys[order]).returns
    np.testing.assert_array_equal(together[order], again)
    alone = matches(population.params, profiles[4:5], keys[4:5]).returns
    np.testing.assert_array_equal(together[4:5], alone)


def test_padding_is_not_played():
    """A call has room for 16 matches. What nobody asked for costs a game on the host nothing."""
    _, population, matches, _ = measured("kuhn_poker(players=3)")
    plays = np.arange(16) < 2
    _, decisions = matches._play(
        population.params,
        matches.game.constants,
        np.zeros((16, 3), np.int32),
        jax.random.key_data(jax.random.split(jax.random.key(1), 16)),
        plays,
    )
    assert ((np.asarray(decisions).sum(axis=(1, 2)) > 0) == plays).all()


def test_fewer_matches_side_by_side_where_actions_are_many():
    game = TreeGame(games.load("kuhn_poker"), known=False)
    policy = policy_for(game, hidden_size=8)
    assert Matches(game, policy).at_once == 32
    game.num_actions = 512
    assert Matches(game, policy).at_once == 32
    game.num_actions = 4_674
    assert Matches(game, policy).at_once == 2
    game.num_actions = 100_000
    assert Matches(game, policy).at_once == 1


def test_a_new_policy_leaves_the_other_payoffs_as_they_are():
    """And the payoffs measured at once are those that are measured one policy after another."""
    _, population, matches, _ = measured("leduc_poker")
    evaluator = SampledEvaluator(
        matches=matches, first_matches=16, error=0.0, total=0.0, softmax=False
    )
    grown, key = evaluator.empty(), jax.random.key(5)
    for size in (1, 2, 3):
        members = population.members[:size]
        part = Population(members=members, capacity=4)
        grown = evaluator.put(grown, part, [size - 1], key, lambda lap: None)
    at_once = table("leduc_poker")
    np.testing.assert_array_equal(grown.payoffs, at_once.payoffs)
    np.testing.assert_array_equal(grown.standard_error, at_once.standard_error)


def test_refining_goes_where_the_value_is_uncertain():
    _, population, matches, payoffs = measured("leduc_poker")
    before = table("leduc_poker")
    solve = solver_of("nash")
    wanted = 0.7 * value_error(before, solve(before)).max()
    evaluator = SampledEvaluator(
        matches=matches, first_matches=16, error=wanted, total=0.0, softmax=False
    )
    after, strategy = evaluator.refine(
        before, population, solve, jax.random.key(5), lambda lap: None
    )
    np.testing.assert_array_equal(strategy.profiles, solve(after).profiles)
    assert value_error(after, solve(after)).max() <= wanted
    assert (after.episodes >= before.episodes).all() and (after.episodes > before.episodes).any()
    same = after.episodes == before.episodes
    np.testing.assert_array_equal(after.payoffs[:, same], before.payoffs[:, same])
    weight = solve(after).profiles
    more = after.episodes - before.episodes
    assert more.ravel()[np.argmax(weight * before.standard_error[0])] > 0
    assert (np.abs(after.payoffs - payoffs) <= 4.5 * after.standard_error + 1e-6).all()


@pytest.mark.parametrize("finished, kept", [(1e-3, 1.0), (5.0, 5.0)])
def test_the_noise_of_training_is_kept_where_it_earns_more(finished, kept):
    """Random policies: sharp ones lose to their noisy selves; to nearly uniform ones it is equal,
    and then the finished temperature stays."""
    tree, population, matches, _ = measured("leduc_poker")
    evaluator = SampledEvaluator(
        matches=matches, first_matches=16, error=0.0, total=0.0, softmax=True
    )
    tabulate, size = Tabulator(policy_for(tree, hidden_size=8, cell="gru"), tree), population.size
    before = [tabulate(population.policies(k)) for k in range(size)]

    def worth(params):
        """Each player's exact return against the mixture of all others, `[P]`."""
        plans = [
            np.stack([exact.realization_plan(player, b[p]) for b in (tabulate(params), *before)])
            for p, player in enumerate(tree.players)
        ]
        payoffs = exact.payoffs(tree, plans)
        return np.array([payoffs[0, 0, 1:].mean(), payoffs[1, 1:, 0].mean()])

    new = at_temperature(population.policies(1), finished)
    opponents = np.zeros((2, population.capacity))
    opponents[:, :size] = 1 / size
    target = Target(opponents=opponents, value=np.zeros(2))
    result = evaluator.finished(population, {size: new}, {size: target}, jax.random.key(1))
    gain = worth(at_temperature(new, 1.0)) - worth(new)  # errors by episodes: 0.07
    assert (gain > 0.35).all() if kept == 1 else (np.abs(gain) < 0.05).all()
    np.testing.assert_array_equal(result[size]["temperature"], np.full(2, kept, np.float32))


def test_pooled_batches_are_one_sample():
    returns = np.random.default_rng(3).normal(2.0, 3.0, (300, 2))
    mean, error, count = np.zeros(2), np.zeros(2), 0
    for part in np.split(returns, [100, 101, 250]):
        squares = np.square(part - part.mean(axis=0)).sum(axis=0)
        mean, error, count = _pooled(mean, error, count, part, squares, unseen=0.0)
    assert count == 300
    np.testing.assert_allclose(mean, returns.mean(axis=0))
    np.testing.assert_allclose(error, returns.std(axis=0, ddof=1) / np.sqrt(300))


def test_episodes_that_are_all_the_same_leave_a_doubt():
    """The rule of three: 95 % of the probability that something else happens in 3 of N episodes."""
    same, none = np.ones((512, 1)), np.zeros(1)
    mean, error, count = _pooled(none, none, 0, same, none, unseen=1.53 * 2)
    assert (mean, count) == (1.0, 512)
    np.testing.assert_allclose(1.96 * error, 3 / 512 * 2, rtol=0.01)


@pytest.mark.parametrize(("name", "at_most"), [("leduc_poker", 0.97), ("kuhn_poker", 0.6)])
def test_pairs_of_deals_are_unbiased_and_say_how_far_they_vary(name, at_most):
    """The means of many matches: about the exact payoff, with the variance that pairs tell, which
    is below that of independent episodes."""
    _, population, matches, payoffs = measured(name)
    assert matches.stratified
    profiles = np.tile([[0, 1]], (512, 1))
    keys = jax.random.split(jax.random.key(11), len(profiles))
    returns = matches(population.params, profiles, keys).returns
    episodes = returns[..., 0].size
    means, told = returns.mean(axis=1), matches.squares(returns) / (episodes * (episodes - 1))
    error = np.sqrt(told)
    assert (abs(means.mean(axis=0) - payoffs[:, 0, 1]) < 4 * error).all()
    np.testing.assert_allclose(means.var(axis=0, ddof=1) / len(means), told, rtol=0.25)
    assert (told < at_most * returns.reshape(-1, 2).var(axis=0) / episodes).all()


def test_the_free_bound_is_below_the_exact_nash_conv():
    """Whatever policies play: the bound is the value of particular deviations."""
    tree, _, matches, payoffs = measured("leduc_poker")
    sampled = table("leduc_poker")
    evaluator = SampledEvaluator(
        matches=matches, first_matches=16, error=0.0, total=0.0, softmax=False
    )
    for weights in ([1.0, 0.0], [0.4, 0.6]):
        strategy = MetaStrategy.of([np.array(weights), np.array(weights[::-1])])
        target = evaluator.target(sampled.take([0, 1]), strategy, "nash", 4, None)
        outcome = evaluator.outcome(sampled, strategy, target, 2, strategy)
        others = [strategy.marginals[1], strategy.marginals[0]]
        achieved = payoffs[0, 2, :2] @ others[0] + payoffs[1, :2, 2] @ others[1]
        error = outcome.nash_conv_bound_error
        assert abs(outcome.nash_conv_bound - achieved) <= 4 * error
        assert 0 < error < 1


def test_a_run_resumes_bit_for_bit(tmp_path):
    whole = psro.run(CONFIG, tmp_path / "whole")
    part = psro.run(dataclasses.replace(CONFIG, iterations=1), tmp_path / "part")
    assert part.ended == "budget"
    resumed = psro.resume(part.folder, iterations=3)
    np.testing.assert_array_equal(whole.payoffs, resumed.payoffs)
    np.testing.assert_array_equal(whole.meta_game.episodes, resumed.meta_game.episodes)
    for one, other in zip(whole.records, resumed.records, strict=True):
        assert dataclasses.replace(one, seconds={}) == dataclasses.replace(other, seconds={})
    loaded = psro.load(whole.folder)
    np.testing.assert_array_equal(loaded.meta_game.standard_error, whole.meta_game.standard_error)
    record = loaded.records[-1]
    assert record.kind == "sampled" and record.distance is None and record.exploitability is None
    assert record.bound[0] == record.nash_conv_bound / 2
    assert set(record.seconds) == {"oracle", "payoffs", "meta_solver"}  # all that takes time
    assert loaded.tree is None and loaded.config.evaluation == "sampled"
    for what in (loaded.exploitability, lambda: loaded.plans):
        with pytest.raises(SettingsError, match="measured by episodes"):
            what()


@pytest.mark.parametrize(
    ("settings", "instead"),
    [
        ({"oracle": "full_width"}, "ppo"),
        ({"oracle": "best_response"}, "ppo"),
        ({"ppo": dataclasses.replace(TINY, tabulated=True)}, "no-ppo.tabulated"),
        ({"expansion": "extensive"}, "best_response"),
        ({"diversity": "response"}, "none"),
        ({"symmetric": True}, "own"),
        ({"evaluation_solver": "least_exploitable"}, "nash"),
        ({"meta_solver": "mgce"}, "mgcce"),
    ],
)
def test_what_needs_a_tree_is_refused_with_what_works(tmp_path, settings, instead):
    with pytest.raises(SettingsError, match="enumerated") as refused:
        create(dataclasses.replace(CONFIG, **settings), tmp_path / "run")
    assert instead in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_oracles_have_other_defaults_where_nothing_is_enumerated():
    exact_game, sampled_game = (
        open_game("kuhn_poker", evaluation=way).game for way in ("exact", "sampled")
    )
    plain = psro.RunConfig()
    assert with_defaults(plain, exact_game, exact=True).ppo == PPOConfig()
    ppo = with_defaults(plain, sampled_game, exact=False).ppo
    assert (ppo.decisions, ppo.learning_rate) == (524_288, 3e-3)
    chosen = dataclasses.replace(plain, ppo=PPOConfig(decisions=512, learning_rate=0.02))
    assert with_defaults(chosen, sampled_game, exact=False).ppo == chosen.ppo


def test_a_sampled_run_never_converges():
    blank = {field.name: None for field in dataclasses.fields(Record)}
    sampled = blank | {"kind": "sampled", "concept": "nash", "value": (0.0, 0.0)}

    def records(improvement, error):
        return [
            Record(
                **sampled | {"iteration": n, "improvement": improvement, "improvement_error": error}
            )
            for n in range(4)
        ]

    ends = functools.partial(why_ended, iterations=9, tolerance=0.1, patience=3)
    assert ends(records((0.0, 0.0), (0.01, 0.01))) == "no oracle improves"
    assert ends(records((0.0, 0.0), (0.01, 0.2))) is None  # an improvement is not ruled out
    assert ends(records((0.2, 0.0), (0.01, 0.01))) is None


def test_games_open_in_the_strongest_form_that_fits():
    small = open_game("kuhn_poker")
    assert small.tree is small.game.tree is not None
    hidden = open_game("kuhn_poker", evaluation="sampled")
    assert hidden.tree is hidden.game.tree is None and hidden.game.num_histories is None
    large = open_game("kuhn_poker", max_histories=10)  # its public states are few
    assert large.tree is None and isinstance(large.form, PublicTree) and not large.why_sampled
    refused = open_game("kuhn_poker(players=3)", max_histories=10)
    assert refused.form is None and "too large" in refused.why_sampled
    native = open_game("phantom_ttt", evaluation="sampled")
    assert native.form is None and type(native.game).__module__ == "games.native.phantom_ttt"
    hosted = open_game("phantom_ttt", evaluation="sampled", backend="openspiel")
    assert type(hosted.game).__module__.startswith("games.hosted")
    with pytest.raises(games.GameError, match="too large"):
        open_game("kuhn_poker(players=3)", evaluation="exact", max_histories=10)
    with pytest.raises(games.GameError, match="native"):
        open_game("tic_tac_toe", evaluation="sampled", backend="native")
    with pytest.raises(games.GameError, match="it has no exact evaluation"):
        open_game("pgx::go_9x9", evaluation="exact")
    with pytest.raises(games.GameError, match="it has no backend native"):
        open_game("pgx::go_9x9", backend="native")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class WageState(State):
    time: jax.Array


class Wages(Game):
    """Player 0 works five days and earns its action each day; player 1 moves between and loses it.
    With a limit the episode is cut off after so many moves."""

    num_players = num_actions = 2
    observation_size = 1
    max_return = 5.0

    def __init__(self, limit=10):
        self.max_length = limit

    def init(self, key):
        return self._state(jnp.int32(0), jnp.zeros(2))

    def step(self, state, action, key):
        paid = jnp.where((state.player == 0) & ~state.ended, action, 0).astype(jnp.float32)
        return self._state(state.time + ~state.ended, jnp.stack([paid, -paid]))

    def observe(self, state):
        return state.time[None].astype(jnp.float32)

    def _state(self, time, rewards):
        terminal = time >= 10
        truncated = ~terminal & (time >= self.max_length)
        return WageState(
            player=time % 2,
            legal=jnp.broadcast_to(~(terminal | truncated), (2,)),
            terminal=terminal,
            truncated=truncated,
            rewards=rewards,
            time=time.astype(jnp.int32),
        )


@pytest.mark.parametrize(("limit", "days"), [(10, 5), (6, 3), (7, 4)])
def test_rewards_at_steps_and_episodes_that_are_cut_off(limit, days):
    """Each decision gets what it earned, an episode the sum, whole or cut off; across rollouts."""
    policy = Policy(
        observation_space=Box((1,)), action_space=Discrete(2), hidden_size=4, cell="gru"
    )
    params = policy.init(jax.random.key(0))
    rollout = Rollout(Wages(limit), policy, num_envs=6, num_strata=1, length=8, sequence_length=8)
    actors = rollout.restart(rollout.empty(), jnp.ones(1, bool), jax.random.key(1))
    opponents = jax.tree.map(lambda leaf: leaf[None, None], params)
    play = jax.jit(rollout)
    reward, done, truncated, action, count, total = [], [], [], [], 0, 0
    for call in range(4):
        actors, decisions, episodes = play(
            params, opponents, jnp.int32(0), actors, jax.random.key(call + 2)
        )
        for kept, new in zip(
            (reward, done, truncated, action),
            (decisions.reward, decisions.done, decisions.truncated, decisions.action),
            strict=True,
        ):
            kept.append(np.asarray(new))
        count, total = count + episodes.count, total + episodes.total_return
    reward, done, truncated, action = map(np.concatenate, (reward, done, truncated, action))
    np.testing.assert_array_equal(reward, action)
    np.testing.assert_array_equal(done[:, 0], np.arange(32) % days == days - 1)
    np.testing.assert_array_equal(truncated, done & (limit < 10))
    whole = 32 // days * days
    np.testing.assert_array_equal(total, action[:whole].sum(axis=0))
    assert (count == 32 // days).all()


def test_a_payoff_table_knows_its_episodes():
    table = MetaGame(payoffs=np.zeros((2, 3, 3)))
    assert (table.num_players, table.size, table.total_episodes) == (2, 3, 0)
    part = MetaGame(
        payoffs=np.arange(18.0).reshape(2, 3, 3),
        standard_error=np.ones((2, 3, 3)),
        episodes=np.arange(9).reshape(3, 3),
    ).take([2, 0])
    np.testing.assert_array_equal(part.payoffs[0], [[8, 6], [2, 0]])
    assert part.total_episodes == 8 + 6 + 2 + 0
