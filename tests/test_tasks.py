"""Environments: games for one player, written here or other libraries'."""

import dataclasses
import functools
import importlib
import importlib.util
from types import SimpleNamespace as Of

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import games
from games import GameError
from games.hosted import environment
from games.hosted.gymnax import GymnaxGame
from games.hosted.translation import actions_of, observation_space
from games.random_play import largest_return, random_actions
from games.spaces import Box, Discrete
from games.tasks import NAMES

# What these libraries do at import, and what of JAX they still use, is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")

OTHERS = [
    "gymnasium::CartPole-v1(max_episode_steps=20)",
    "gymnasium::Blackjack-v1",
    "gymnasium::FrozenLake-v1(sticky=0.1)",
    "gymnax::CartPole-v1(max_steps_in_episode=30)",
    "gymnax::Pendulum-v1",
    "gymnax::Catch-bsuite",
    "mujoco::Hopper",
    "mujoco::InvertedPendulum-v5(mask=0+1,delay=1)",
    "popgym::BattleshipEasy",
    "jumanji::Snake-v1(time_limit=30)",
    "xminigrid::MiniGrid-Empty-5x5(max_steps=20)",
]
NUM_ENVS, NUM_STEPS = 3, 60
TASKS = ["CountRecallEasy", "PositionOnlyPendulumEasy"]


@pytest.fixture(autouse=True)
def libraries_may_promote_ranks():
    with jax.numpy_rank_promotion("allow"):
        yield


def opened(name):
    library = name.partition("::")[0]
    if library != "popjaxrl" and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    return games.load(name)


@functools.cache
def episodes(name):
    """Random play: states `[T + 1, E]`, what is observed in them, and actions `[T, E]`."""
    game = games.load(name)

    def step(states, key):
        choose, play = jax.random.split(key)
        actions = random_actions(game, states, choose)
        after = jax.vmap(game.step)(states, actions, jax.random.split(play, NUM_ENVS))
        return after, (states, jax.vmap(game.observe)(states), actions)

    @jax.jit
    def play(key):
        first, rest = jax.random.split(key)
        states = jax.vmap(game.init)(jax.random.split(first, NUM_ENVS))
        last, played = jax.lax.scan(step, states, jax.random.split(rest, NUM_STEPS))
        return *played, last, jax.vmap(game.observe)(last)

    states, seen, actions, last, seen_last = play(jax.random.key(0))
    join = functools.partial(jax.tree.map, lambda all, one: np.concatenate([all, one[None]]))
    return join(states, last), join(seen, seen_last), np.asarray(actions)


@pytest.mark.parametrize("name", [*(f"popjaxrl::{task}" for task in TASKS), *OTHERS])
def test_an_environment_is_a_game_for_one_player(name):
    game = opened(name)
    states, seen, _ = episodes(name)
    assert game.num_players == 1 and not game.is_constant_sum and game.may_truncate
    spaces, structure = jax.tree.flatten(game.observation_space)
    for space, values in zip(spaces, structure.flatten_up_to(seen), strict=True):
        assert values.shape == (NUM_STEPS + 1, NUM_ENVS, *space.shape)
        kind = np.int32 if isinstance(space, Discrete) else np.float32
        assert values.dtype == kind
        if isinstance(space, Discrete):
            assert values.min() >= 0 and values.max() < space.num
        else:
            assert np.isfinite(values).all()
        assert not values[states.terminal].any()
        if states.truncated.any():  # the final observation stays
            assert values[states.truncated].any()
    assert (np.diff(states.ended.astype(int), axis=0) >= 0).all()
    assert not (states.terminal & states.truncated).any()
    assert states.rewards.shape[2:] == (1,) and not states.rewards[1:][states.ended[:-1]].any()
    if isinstance(game.action_space, Discrete):
        assert (states.legal.any(axis=-1) == ~states.ended).all()
    else:
        assert states.legal is None


@pytest.mark.parametrize(
    "name", ["popjaxrl::CountRecallEasy", "popjaxrl::PositionOnlyPendulumEasy"]
)
def test_an_action_that_is_none_changes_only_the_reward(name):
    game = opened(name)
    states, *_ = episodes(name)
    state = jax.tree.map(lambda leaf: leaf[3, 0], states)
    box = isinstance(game.action_space, Box)
    none = jnp.full(game.action_space.shape, jnp.nan) if box else -1
    after = jax.jit(game.step)(state, none, jax.random.key(0))
    before = vars(state) | {"rewards": np.zeros(1)}
    jax.tree.map(np.testing.assert_array_equal, before, dict(vars(after)))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_rewards_and_ends_are_popgym_s(name):
    """The same cards, arms or mechanics, and the same actions: the same rewards and observations.

    POPGym's random numbers are replaced by those of the task."""
    popgym = pytest.importorskip("popgym")
    env = getattr(popgym.envs, name)() if hasattr(popgym.envs, name) else made(name)
    game = environment(f"popjaxrl::{name}")
    rng = np.random.default_rng(0)
    state, _ = game.init(jax.random.key(1)), env.reset(seed=0)
    step, observe = jax.jit(game.step), jax.jit(game.observe)
    state = alike(name, game, env, state)
    for number in range(game.max_length):
        if isinstance(game.action_space, Box):
            action = rng.uniform(-2, 2, 1).astype(np.float32)
        else:
            action = int(rng.integers(game.num_actions))
        state = step(state, action, jax.random.key(number))
        theirs, reward, terminated, truncated, _ = env.step(action)
        if name.startswith("Multi"):  # its payment is drawn: only the scale is compared
            assert abs(abs(reward) - abs(float(state.rewards[0]))) < 1e-6
        else:
            assert abs(reward - float(state.rewards[0])) < 1e-5
        assert (bool(state.terminal), bool(state.truncated)) == (terminated, truncated)
        if terminated or truncated:
            break
        if not name.startswith(("Noisy", "Multi")):
            ours = np.stack([np.asarray(leaf) for leaf in jax.tree.leaves(observe(state))])
            np.testing.assert_allclose(ours.reshape(-1), np.asarray(theirs).reshape(-1), atol=1e-4)
    assert state.ended


def made(name):
    base = name.removesuffix("Easy").removesuffix("Medium").removesuffix("Hard")
    module = "".join(f"_{c.lower()}" if c.isupper() else c for c in base).strip("_")
    module = module.replace("cart_pole", "cartpole")
    return getattr(importlib.import_module(f"popgym.envs.{module}"), name)()


def alike(name, game, env, state):
    """Gives POPGym's environment the state of the task, or the other way round."""
    if "Pendulum" in name or "CartPole" in name:
        env.unwrapped.state = np.asarray(state.inner, np.float64)
    elif name.startswith("CountRecall"):
        kinds = game.observation_space[0].num
        decks = np.asarray(
            [[list_of(env, env.value_deck)], [list_of(env, env.query_deck)]], np.int32
        ).reshape(2, -1)
        assert decks.max() < kinds
        state = with_deck(state, decks)
    elif not name.startswith("Multi"):
        kind = env.deck.ranks_idx if name.startswith("Higher") else env.deck.suits_idx
        state = with_deck(state, kind[env.deck.idx[::-1]].astype(np.int32))
    return state


def list_of(env, deck):
    return env.deck_idx_type[deck.idx[::-1]]


def with_deck(state, deck):
    return dataclasses.replace(state, inner=dataclasses.replace(state.inner, deck=deck))


@pytest.mark.parametrize(
    "name", ["RepeatFirstMedium", "RepeatPreviousEasy", "HigherLowerEasy", "CountRecallMedium"]
)
def test_who_remembers_every_card_is_paid_1(name):
    """By its observations; only in HigherLower it must know the next card."""
    game = games.load(f"popjaxrl::{name}")
    step, observe = jax.jit(game.step), jax.jit(game.observe)
    state, seen, total, ties = game.init(jax.random.key(3)), [], 0.0, 0
    while not state.ended:
        seen.append(jax.tree.map(int, observe(state)))
        if name.startswith("RepeatFirst"):
            action = seen[0]
        elif name.startswith("RepeatPrevious"):
            action = seen[-4] if len(seen) >= 4 else 0
        elif name.startswith("HigherLower"):
            following = int(state.inner.deck[len(seen)])
            action, ties = int(following < seen[-1]), ties + (following == seen[-1])
        else:
            action = [kind for kind, _ in seen].count(seen[-1][1])
        state = step(state, action, jax.random.key(0))
        total += float(state.rewards[0])
    assert len(seen) == game.max_length
    best = (51 - ties) / 52 if name.startswith("HigherLower") else 1.0
    assert total == pytest.approx(best, abs=1e-5)


def test_a_bandit_pays_by_its_arm():
    game = games.load("popjaxrl::MultiarmedBanditEasy")
    state = game.init(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 500)
    rewards = jax.jit(jax.vmap(lambda key: game.step(state, 3, key).rewards[0]))(keys)
    chance = float(state.inner[3])
    assert abs(float((rewards > 0).mean()) - chance) < 4 * np.sqrt(chance * (1 - chance) / 500)


def test_spaces_of_other_libraries():
    grid = Of(low=0, high=255, shape=(4, 4, 3), dtype=np.uint8)
    assert observation_space(grid) == Box((4, 4, 3), 0.0, 1.0)
    both = Of(spaces={"b": Of(n=3), "a": Of(low=-1, high=2, shape=(2,), dtype=np.float32)})
    assert observation_space(both) == {"a": Box((2,), -1.0, 2.0), "b": Discrete(3)}
    choices = actions_of("x", Of(nvec=np.array([2, 3])))
    assert choices.space == Discrete(6)
    assert [choices.theirs(np.asarray(n)).tolist() for n in (0, 2, 3, 5)] == [
        [0, 0], [0, 2], [1, 0], [1, 2],
    ]  # fmt: skip
    bounds = actions_of("x", Of(low=np.array([0.0, -4.0]), high=np.array([1.0, 4.0]), shape=(2,)))
    assert bounds.space == Box((2,), -1.0, 1.0)
    np.testing.assert_allclose(bounds.theirs(np.array([1.0, 0.5])), [1.0, 2.0])
    pair = Of(spaces=(Of(nvec=[3, 5]), Of(n=2, shape=(4,))))
    assert observation_space(pair) == (Discrete(5, (2,)), Box((4,), 0.0, 1.0))
    amount = Of(low=-5, high=500, shape=(), dtype=np.int64)
    assert observation_space(amount) == Box((), -5.0, 500.0)
    with pytest.raises(GameError, match="of the kind list have no fixed size"):
        observation_space([])
    later = actions_of("x", Of(n=3, start=2))
    assert later.space == Discrete(3) and later.theirs(1) == 3
    scalar = actions_of("x", Of(low=-2.0, high=4.0, shape=()))
    assert scalar.space == Box((1,), -1.0, 1.0) and scalar.theirs(np.array([0.5])) == 2.5
    same = actions_of("x", Of(low=np.full(2, -2.0), high=np.full(2, 2.0), shape=(2,)))
    assert same.space == Box((2,), -2.0, 2.0) and same.theirs(0.5) == 0.5
    with pytest.raises(GameError, match="no learner here can choose"):
        actions_of("x", Of(low=-np.inf, high=np.inf, shape=(2,)))


def test_the_largest_return_of_real_actions():
    game = games.load("popjaxrl::PositionOnlyPendulumHard")
    assert 0.05 < largest_return(game) <= 1


@pytest.mark.parametrize(
    "name, words",
    [
        ("popjaxrl::RepeatPrevious", "did you mean"),
        ("popjaxrl::RepeatFirstEasy(decks=2)", "no parameters"),
    ],
)
def test_a_wrong_task_is_refused(name, words):
    with pytest.raises(GameError, match=words):
        games.load(name)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Steps:
    time: jax.Array


class Arcade:
    """An environment like those of POPGym Arcade: it knows its limit itself, and ends by it one
    step late. The limit among its parameters is a default that nobody set."""

    max_steps_in_episode = 4

    def action_space(self, params):
        return Of(n=2)

    def observation_space(self, params):
        return Of(low=0.0, high=9.0, shape=(1,), dtype=np.float32)

    def reset_env(self, key, params):
        return jnp.zeros(1), Steps(jnp.int32(0))

    def step_env(self, key, state, action, params):
        done = (action == 1) | (state.time >= self.max_steps_in_episode)
        return jnp.full(1, state.time), Steps(state.time + 1), jnp.float32(1), done, {}


def test_an_environment_that_knows_its_limit_itself_is_not_cut_off_by_a_default():
    game = GymnaxGame("arcade", Arcade(), Of(max_steps_in_episode=1), 4.0, None)
    assert game.max_length == 4
    key = jax.random.key(0)
    state, ends = game.init(key), []
    for action in (0, 0, 0, 0):
        state = game.step(state, jnp.int32(action), key)
        ends.append((bool(state.terminal), bool(state.truncated)))
    assert ends == [(False, False)] * 3 + [(False, True)]
    ended = game.step(game.init(key), jnp.int32(1), key)
    assert ended.terminal and not ended.truncated
