"""Games of known value that localise a learner's bug (the idea is rejax's), and small helpers."""

import copy
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

import games
from games.game import Game, State
from games.tree import GameTree, PlayerTree
from psro import exact
from psro.policies.dreamer_policy import DreamerPolicy
from psro.policies.policy import Policy, at_temperature


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeState(State):
    bit: jax.Array
    time: jax.Array
    first: jax.Array
    last: jax.Array


class Probe(Game):
    """Player 0 decides at times 0 to n - 1, then player 1 moves without effect, and it is over.

    A bit is drawn at the start. Kinds, and the best return of player 0:
        constant: always 1.
        observation: the bit is seen, and 1 is paid for playing it, else -1; n = 1.
        memory: the bit is seen at time 0, where only action 0 is legal; 1 for playing it at time 2.
        delay: 1 for having played 1 at time 0, paid after three more decisions without a choice.
    """

    num_players = 2
    num_actions = 2
    observation_size = 4
    max_return = 1.0
    tree = None

    def __init__(self, kind: str):
        self.kind = kind
        self.num_decisions = {"constant": 2, "observation": 1, "memory": 3, "delay": 4}[kind]
        self.max_length = self.num_decisions + 1

    def init(self, key):
        bit = jax.random.bernoulli(key).astype(jnp.int32)
        return self._state(bit, jnp.int32(0), jnp.int32(0), jnp.int32(0))

    def step(self, state, action, key):
        first = jnp.where(state.time == 0, action, state.first)
        last = jnp.where(state.time == self.num_decisions - 1, action, state.last)
        return self._state(state.bit, state.time + 1, first, last)

    def observe(self, state):
        shown = (state.time == 0) | (self.kind == "observation")
        mine = state.player == 0
        return jnp.stack(
            [
                shown & mine & (state.bit == 0),
                shown & mine & (state.bit == 1),
                mine & (state.time == self.num_decisions - 1),
                ~mine,
            ]
        ).astype(jnp.float32)

    def _state(self, bit, time, first, last):
        terminal = time > self.num_decisions
        forced = ((self.kind == "memory") & (time < 2)) | ((self.kind == "delay") & (time > 0))
        right = {
            "constant": jnp.bool_(True),
            "observation": last == bit,
            "memory": last == bit,
            "delay": first == 1,
        }[self.kind]
        gain = jnp.where(terminal, jnp.where(right, 1.0, -1.0), 0.0)
        return ProbeState(
            player=(time == self.num_decisions).astype(jnp.int32),
            legal=jnp.stack([~terminal, ~terminal & ~forced]),
            terminal=terminal,
            truncated=jnp.bool_(False),
            rewards=jnp.stack([gain, -gain]),
            bit=bit,
            time=time,
            first=first,
            last=last,
        )


class Lengths(Game):
    """Player 0 chooses (A: 0, B: 1), then player 1 stops (0), or goes on (1), and then player 0 has
    15 decisions without a choice. A pays -0.6 against one that stops and 1 against one that goes
    on, B pays nothing: with equal chances of meeting either, A is worth 0.2 *per episode*, but less
    than nothing if opponents count by how many of their episodes fit into a rollout.
    """

    num_players = 2
    num_actions = 2
    observation_size = 2
    max_return = 1.0
    max_length = 17
    tree = None

    def init(self, key):
        return self._state(jnp.int32(0), jnp.int32(0), jnp.int32(0))

    def step(self, state, action, key):
        first = jnp.where(state.time == 0, action, state.first)
        goes_on = jnp.where(state.time == 1, action, state.last)
        return self._state(state.time + 1, first, goes_on)

    def observe(self, state):
        return jnp.stack([state.time == 0, state.time > 1]).astype(jnp.float32)

    def _state(self, time, first, goes_on):
        terminal = jnp.where(goes_on == 1, time >= 17, time >= 2)
        pays = jnp.where(goes_on == 1, 1.0, -0.6)
        gain = jnp.where(terminal & (first == 0), pays, 0.0)
        return ProbeState(
            player=(time == 1).astype(jnp.int32),
            legal=jnp.stack([~terminal, ~terminal & (time < 2)]),
            terminal=terminal,
            truncated=jnp.bool_(False),
            rewards=jnp.stack([gain, -gain]),
            bit=jnp.int32(0),
            time=time,
            first=first,
            last=goes_on,
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class KuhnState(State):
    cards: jax.Array
    moves: jax.Array


class NativeKuhn(Game):
    """Kuhn poker by its rules, with the tree that `games.load("kuhn_poker")` makes of it.

    Args:
        deals: both players' cards, one row a deal, all alike in probability; all deals by default.
    """

    num_players = 2
    num_actions = 2
    observation_size = 11
    max_return = 2.0
    max_length = 3

    def __init__(self, deals=((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))):
        self.tree = games.load("kuhn_poker")
        self.constants = {"deals": np.array(deals, np.int32)}

    def with_constants(self, constants):
        game = copy.copy(self)
        game.constants = constants
        return game

    def init(self, key):
        deals = jnp.asarray(self.constants["deals"])
        return self._state(jax.random.choice(key, deals), jnp.full(3, -1))

    def step(self, state, action, key):
        moves = jnp.where(jnp.arange(3) == (state.moves >= 0).sum(), action, state.moves)
        return self._state(state.cards, jnp.where(state.terminal, state.moves, moves))

    def observe(self, state):
        turn = jax.nn.one_hot(state.player, 2)
        card = jax.nn.one_hot(state.cards[state.player], 3)
        seen = jnp.concatenate([turn, card, jax.nn.one_hot(state.moves, 2).ravel()])
        return jnp.where(state.terminal, 0.0, seen)

    def _state(self, cards, moves):
        count, bets = (moves >= 0).sum(), (moves == 1).sum()
        checked = (moves[0] == 0) & (moves[1] == 1)  # then bet: player 0 moves once more
        terminal = (count == 3) | ((count == 2) & ~checked)
        pot = jnp.where(bets == 2, 2.0, 1.0)
        shown = jnp.where(cards[0] > cards[1], pot, -pot)
        folded = jnp.where(moves[0] == 1, 1.0, -1.0)
        gain = jnp.where(terminal, jnp.where(bets == 1, folded, shown), 0.0)
        return KuhnState(
            player=jnp.where(terminal, 0, count % 2).astype(jnp.int32),
            legal=jnp.broadcast_to(~terminal, (2,)),
            terminal=terminal,
            truncated=jnp.bool_(False),
            rewards=jnp.stack([gain, -gain]),
            cards=cards,
            moves=moves.astype(jnp.int32),
        )


def tree_of(game: Probe) -> GameTree:
    """A probe as a tree. Player 0 knows what it has seen and done, player 1 nothing."""
    bits = range(2)
    blank = game.init(jax.random.key(0))
    decisions, terminals, outcomes = [], [], []  # (seat, info state), (returns, sequences), nodes
    info_states: list[dict] = [{}, {}]  # key -> (level, observation, legal, parent key and action)

    def visit(state, memory, last):
        """The node of a state, and below it all others: a decision's index, or -1 - terminal."""
        if bool(state.terminal):
            terminals.append((np.asarray(state.rewards, np.float64), tuple(last)))
            return -len(terminals)
        seat = int(state.player)
        observation = np.asarray(game.observe(state))
        key = (*memory[seat], observation.tobytes()) if seat == 0 else ("blind",)
        legal = np.asarray(state.legal)
        level = len(memory[0]) // 2 if seat == 0 else 0
        info_states[seat].setdefault(key, (level, observation, legal, last[seat]))
        number = len(decisions)
        decisions.append((seat, key))
        outcomes.append([])
        for action in np.flatnonzero(legal):
            longer, latest = list(memory), list(last)
            longer[seat], latest[seat] = (*key, int(action)), (key, int(action))
            after = game.step(state, jnp.int32(action), jax.random.key(0))
            outcomes[number].append(visit(after, longer, latest))
        return number

    roots = [
        visit(
            game._state(jnp.int32(bit), blank.time, blank.first, blank.last), [(), ()], [None] * 2
        )
        for bit in bits
    ]
    players, sequence_of = [], []
    for known in info_states:
        keys = sorted(known, key=lambda key: known[key][0])  # stable: by level
        rank = {key: number for number, key in enumerate(keys)}
        sequences = {None: 0}
        for key in keys:
            for action in np.flatnonzero(known[key][2]):
                sequences[(key, int(action))] = len(sequences)
        levels = [known[key][0] for key in keys]
        counts = [int(known[key][2].sum()) for key in keys]
        players.append(
            PlayerTree(
                num_actions=game.num_actions,
                observation=np.stack([known[key][1] for key in keys]),
                parent=np.array([sequences[known[key][3]] for key in keys], np.int32),
                first_sequence=np.cumsum([1, *counts]).astype(np.int32),
                info_state=np.array([-1, *(rank[key] for key, _ in list(sequences)[1:])], np.int32),
                action=np.array([-1, *(action for _, action in list(sequences)[1:])], np.int32),
                level_start=np.searchsorted(levels, range(max(levels) + 2)).astype(np.int32),
                names=tuple(map(str, keys)),
                keys=tuple(keys),
            )
        )
        sequence_of.append((rank, sequences))
    slots = [[(root, 1 / len(roots)) for root in roots]]
    first_slot = []
    for nodes in outcomes:
        first_slot.append(len(slots))
        slots += [[(node, 1.0)] for node in nodes]
    flat = [each for slot in slots for each in slot]
    return GameTree(
        name=game.kind,
        observation_kind="observation",
        identity="history",
        num_actions=game.num_actions,
        num_histories=1 + len(decisions) + len(terminals),
        max_length=game.max_length,
        players=tuple(players),
        chance=np.full(len(terminals), 1 / len(roots)),
        terminal_returns=np.stack([returns for returns, _ in terminals]),
        sequence=np.array(
            [[sequence_of[p][1][last[p]] for p in range(2)] for _, last in terminals], np.int32
        ),
        decision_player=np.array([seat for seat, _ in decisions], np.int32),
        decision_info_state=np.array(
            [sequence_of[seat][0][key] for seat, key in decisions], np.int32
        ),
        first_slot=np.array(first_slot, np.int32),
        first_outcome=np.cumsum([0, *map(len, slots)]).astype(np.int32),
        outcome_node=np.array(
            [node if node >= 0 else len(decisions) - 1 - node for node, _ in flat], np.int32
        ),
        outcome_probability=np.array([probability for _, probability in flat]),
    )


def random_behaviours(tree: GameTree, seed: int) -> list[np.ndarray]:
    """One random policy a player, `[S_p]`."""
    generator = np.random.default_rng(seed)
    behaviours = []
    for player in tree.players:
        weight = generator.exponential(size=player.num_sequences)
        total = np.add.reduceat(weight, player.first_sequence[:-1])
        behaviours.append(np.append(1.0, weight[1:] / total[player.info_state[1:]]))
    return behaviours


def random_populations(tree: GameTree, counts, seed: int) -> list[np.ndarray]:
    """Realization plans of `counts[p]` random policies of each player, `[K_p, S_p]`."""
    return [
        np.stack(
            [
                exact.realization_plan(player, random_behaviours(tree, 100 * seed + k)[p])
                for k in range(count)
            ]
        )
        for p, (player, count) in enumerate(zip(tree.players, counts, strict=True))
    ]


def policy_for(game, *, cell="lstm", hidden_size=16, dtype="float32", network=None) -> Policy:
    return Policy(
        observation_space=game.observation_space,
        action_space=game.action_space,
        hidden_size=hidden_size,
        cell=cell,
        dtype=dtype,
        network=network,
    )


def world_model_for(game, *, cell="block_gru", hidden_size=16, latents=4, classes=4):
    return DreamerPolicy(
        observation_space=game.observation_space,
        action_space=game.action_space,
        hidden_size=hidden_size,
        cell=cell,
        latents=latents,
        classes=classes,
    )


def opinionated(policy: Policy, seed: int, count: int):
    """`count` random networks, leaves `[count, ...]`, whose choices are far from uniform."""
    params = policy.init_many(jax.random.split(jax.random.key(seed), count))
    return at_temperature(params, 0.02)


def constant_policy(policy: Policy, action: int):
    """A network that plays one action where it is legal, whatever it sees."""
    params = policy.init_many(jax.random.split(jax.random.key(0), 1))
    params = jax.tree.map(lambda leaf: leaf[0], params)
    head = jax.tree.map(jnp.zeros_like, params["policy_head"])
    return params | {"policy_head": head | {"bias": head["bias"].at[action].set(50.0)}}


def begin(rollout, key):
    """New episodes in every environment."""
    return rollout.restart(rollout.empty(), jnp.ones(rollout.num_strata, bool), key)
