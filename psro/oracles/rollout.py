"""A learner plays episodes against opponents. Every player has its own memory.

A time step is one decision of the learner. Between two of its decisions the other seats move, and
episodes end and begin. Environments are grouped into *strata*. All environments of a stratum face
the same profile of opponents, so parameters are gathered per stratum and not per environment.

Axes: T own decisions, E = S * B environments (S strata of B, stratum-major), Q = P - 1 opponents.
Opponent q sits at seat (learner + 1 + q) mod P.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from games.game import Game, State
from psro.oracles.decisions import Decisions, Episodes, Outcome, Turn
from psro.oracles.memory import Memory, blank, forgotten
from psro.policies.distributions import Distribution
from psro.policies.networks.cells.cell import Carry
from psro.policies.policy import Params, Policy

Act = Callable[[jax.Array, jax.Array | None, jax.Array | float], Distribution]
"""Returns the distribution of a learner's actions from its outputs `[E, ...]`, the legal actions
`[E, A]` (None if actions are a box), and the amount of exploration."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Actors:
    """The state that one rollout leaves for the next.

    Attributes:
        state: the games, `[E]`.
        learner: the learner's memory, leaves `[E, ...]`.
        opponents: the opponents' memories, leaves `[Q, E, ...]`.
        fresh: the learner has not yet decided in this episode, bool `[E]`.
        shown: the episode was cut off, and its last step has shown the learner what would have
            followed, bool `[E]`.
        earned: the learner's rewards in this episode so far, `[E]`.
        seen: with a central critic, what the opponents saw at their latest decisions in this
            episode, zeros before the first, leaves `[E, Q, ...]`; otherwise empty.
    """

    state: State
    learner: Memory
    opponents: Memory
    fresh: jax.Array
    shown: jax.Array
    earned: jax.Array
    seen: Any = ()


Toll = Callable[[jax.Array, jax.Array | None, jax.Array], jax.Array]
"""Returns what the opponents' moves pay the learner beside the game, in the game's units, `[E]`. It
takes their outputs `[E, ...]`, the legal actions `[E, A]`, and the actions."""


class Rollout:
    """Plays one learner against opponents in `num_envs` environments.

    All methods are pure. They may be jitted, and mapped over learners (jobs) with `vmap`.
    """

    def __init__(
        self,
        game: Game,
        policy: Policy,
        *,
        num_envs: int,
        num_strata: int,
        length: int,
        sequence_length: int,
        act: Act | None = None,
        toll: Toll | None = None,
    ):
        self.game = game
        self.policy = policy
        self._opponent_policy = policy
        self.num_envs = num_envs
        self.num_strata = num_strata
        self.length = length
        self.sequence_length = sequence_length
        self._act = act or self._by_policy
        self._central = getattr(policy, "central", False)
        self._toll = toll
        self._num_opponents = game.num_players - 1
        # Enough moves to end this episode and to play one more without the learner's turn coming;
        # an opponent that keeps the learner from ever moving must not hang the loop.
        self._most_moves = 2 * game.max_length + 2

    def with_constants(self, constants: Any) -> Rollout:
        """The same rollout, in a game that reads these constants (see `Game.constants`)."""
        rollout = copy.copy(self)
        rollout.game = self.game.with_constants(constants)
        return rollout

    def against(self, policy: Policy) -> Rollout:
        """The same rollout, whose opponents have another network than the learner."""
        rollout = copy.copy(self)
        rollout._opponent_policy = policy
        return rollout

    def empty(self) -> Actors:
        """Actors without episodes. Restart every stratum before the first rollout."""
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), self.num_envs))
        state = jax.eval_shape(jax.vmap(self.game.init), keys)
        return Actors(
            state=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state),
            learner=blank(self.policy, (self.num_envs,)),
            opponents=blank(self._opponent_policy, (self._num_opponents, self.num_envs)),
            fresh=jnp.ones(self.num_envs, bool),
            shown=jnp.zeros(self.num_envs, bool),
            earned=jnp.zeros(self.num_envs),
            seen=self._nothing_seen(state) if self._central else (),
        )

    def _nothing_seen(self, state: State) -> Any:
        """Zeros in the place of each opponent's observation, leaves `[E, Q, ...]`."""
        seen = jax.eval_shape(jax.vmap(self.game.observe), state)
        shape = self.num_envs, self._num_opponents
        return jax.tree.map(lambda leaf: jnp.zeros((*shape, *leaf.shape[1:]), leaf.dtype), seen)

    def restart(self, actors: Actors, strata: jax.Array, key: jax.Array) -> Actors:
        """New episodes in the environments of the strata where `strata [S]` is True."""
        where = jnp.repeat(strata, self.num_envs // self.num_strata)  # [E]
        keys = jax.random.split(key, self.num_envs)
        return Actors(
            state=jax.vmap(self.game.renew)(actors.state, where, keys),
            learner=forgotten(self.policy, actors.learner, where),
            opponents=forgotten(self._opponent_policy, actors.opponents, where),
            fresh=actors.fresh | where,
            shown=actors.shown & ~where,
            earned=jnp.where(where, 0.0, actors.earned),
            seen=_blanked(where, actors.seen),
        )

    def turn(self, actors: Actors, seat: jax.Array) -> Turn:
        """The input of the next decision of the player at `seat`. For the actors that a rollout
        returned, this is the decision after its last one."""
        return Turn(
            observation=jax.vmap(self.game.observe)(actors.state),
            last_action=forgotten(self.policy, actors.learner, actors.fresh).last_action,
            reset=actors.fresh,
            legal=actors.state.legal,
            valid=self._is_turn(actors.state, seat),
        )

    def __call__(
        self,
        params: Params,
        opponents: Params,
        seat: jax.Array,
        actors: Actors,
        key: jax.Array,
        exploration: jax.Array | float = 0.0,
    ) -> tuple[Actors, Decisions, Episodes]:
        """`length` own decisions of the player at `seat` in every environment.

        Args:
            params: the learner's parameters.
            opponents: parameters of every stratum's profile, leaves `[Q, S, ...]`.
            seat: the learner's seat, int32 `[]`.
            actors: from `restart`, or from the previous call.
            exploration: the amount of exploration, passed to `act`.
        """

        def step(carry: tuple[Actors, Episodes], inputs: tuple[jax.Array, jax.Array]):
            return self._decide(params, opponents, seat, exploration, carry, *inputs)

        # One step more than decisions. The last step does not act: it shows the outcome of the last
        # decision. The next rollout begins from there.
        inputs = (jax.random.split(key, self.length + 1), jnp.arange(self.length + 1) < self.length)
        zeros = Episodes(count=jnp.zeros(self.num_envs), total_return=jnp.zeros(self.num_envs))
        (actors, episodes), (steps, carries, outcome) = jax.lax.scan(step, (actors, zeros), inputs)
        decisions = Decisions(
            **jax.tree.map(lambda leaf: leaf[:-1], steps),
            reward=outcome.reward[1:],
            done=outcome.done[1:],
            truncated=outcome.truncated[1:],
            carry=jax.tree.map(lambda leaf: leaf[: -1 : self.sequence_length], carries),
            next_value=steps["value"][-1],
        )
        return actors, decisions, episodes

    def _decide(
        self,
        params: Params,
        opponents: Params,
        seat: jax.Array,
        exploration: jax.Array | float,
        carry: tuple[Actors, Episodes],
        key: jax.Array,
        acts: jax.Array,
    ) -> tuple[tuple[Actors, Episodes], tuple[dict[str, jax.Array], Carry, Outcome]]:
        """The learner's next decision in every environment. It is carried out where `acts []`. Also
        returns the decision's fields of `Decisions`, the carry before it, and the outcome of the
        previous decision."""
        keys = jax.random.split(key, self.num_envs + 2)
        # The other seats' moves now give the outcome of the previous decision.
        actors, episodes, outcome = self._await_turn(opponents, seat, *carry, keys[0])
        learner = forgotten(self.policy, actors.learner, actors.fresh)
        turn = self.turn(actors, seat)
        outputs, value, after = self.policy(
            params, turn.observation, turn.last_action, learner.carry
        )
        others = ()
        if self._central:
            done = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), actors.opponents.last_action)
            others = actors.seen, done
            value = self.policy.value_of(params, value, turn.observation, turn.last_action, others)
        choice = self._act(outputs, turn.legal, exploration)
        action = choice.sample(keys[1])  # [E, ...]
        played = choice.played(action)
        decision = {
            **vars(turn),
            "action": action,
            "log_prob": choice.log_prob(action),
            "value": value,
            "others": others,
        }
        moves = turn.valid & acts
        actors = Actors(
            state=self._step(actors.state, played, moves, keys[2:]),
            learner=_select(moves, Memory(carry=after, last_action=played), actors.learner),
            opponents=actors.opponents,
            fresh=actors.fresh & ~moves,
            shown=actors.shown | (acts & self._shows(actors, seat)),
            earned=actors.earned,
            seen=actors.seen,
        )
        return (actors, episodes), (decision, learner.carry, outcome)

    def _await_turn(
        self,
        opponents: Params,
        seat: jax.Array,
        actors: Actors,
        episodes: Episodes,
        key: jax.Array,
    ) -> tuple[Actors, Episodes, Outcome]:
        """The other seats move, and new episodes replace finished ones, until it is the learner's
        turn in every environment. Also returns the outcome of the learner's last decision.
        """
        num_players = self.game.num_players

        def waiting(loop):
            moves, actors, *_ = loop
            ready = self._is_turn(actors.state, seat) | self._shows(actors, seat)
            return ~ready.all() & (moves < self._most_moves)

        def move(loop):
            moves, actors, *counted, key = loop
            keys = jax.random.split(key, 2 * self.num_envs + 2)
            env_keys = keys[2:].reshape(2, self.num_envs)
            state, memory = actors.state, actors.opponents
            turn = (state.player - seat - 1) % num_players  # opponent q, or Q: the learner
            observation = jax.vmap(self.game.observe)(state)
            outputs, after = self._opponent_outputs(opponents, observation, memory)
            opponent = jnp.minimum(turn, self._num_opponents - 1)
            outputs = outputs[opponent, jnp.arange(self.num_envs)]
            choice = self._opponent_policy.distribution(outputs, state.legal)
            action = choice.played(choice.sample(keys[1]))
            acts = turn[None] == jnp.arange(self._num_opponents)[:, None]  # [Q, E]
            all_seats = jnp.broadcast_to(action, (self._num_opponents, *action.shape))
            moved = Memory(carry=after, last_action=all_seats)
            moves_now = turn < self._num_opponents
            stepped = self._step(state, action, moves_now, env_keys[0])
            if self._toll is not None:
                paid = jnp.where(moves_now, self._toll(outputs, state.legal, action), 0.0)
                rewards = stepped.rewards.at[:, seat].add(paid)
                stepped = dataclasses.replace(stepped, rewards=rewards)
            actors = Actors(
                state=stepped,
                learner=actors.learner,
                opponents=_select(acts, moved, memory),
                fresh=actors.fresh,
                shown=actors.shown,
                earned=actors.earned,
                seen=self._now_seen(acts, observation, actors.seen),
            )
            # Now, so that the opponents' networks do not run once more before the learner's turn.
            return moves + 1, *self._renew(seat, actors, *counted, env_keys[1]), keys[0]

        key, first = jax.random.split(key)
        never = jnp.zeros(self.num_envs, bool)
        nothing = Outcome(reward=jnp.zeros(self.num_envs), done=never, truncated=never)
        start = self._renew(seat, actors, episodes, nothing, jax.random.split(first, self.num_envs))
        if not self._num_opponents:  # nobody to wait for
            return start
        _, *result, _ = jax.lax.while_loop(waiting, move, (0, *start, key))
        return tuple(result)

    def _renew(
        self, seat: jax.Array, actors: Actors, episodes: Episodes, outcome: Outcome, keys: jax.Array
    ) -> tuple[Actors, Episodes, Outcome]:
        """Counts the rewards of the last moves; new episodes replace those that have ended."""
        state, over = actors.state, actors.state.ended & ~self._shows(actors, seat)
        paid = state.rewards[:, seat]
        earned = actors.earned + paid
        outcome = Outcome(  # of the first episode that ends
            reward=jnp.where(outcome.done, outcome.reward, outcome.reward + paid),
            done=outcome.done | over,
            truncated=outcome.truncated | (~outcome.done & over & state.truncated),
        )
        episodes = Episodes(
            count=episodes.count + over,
            total_return=episodes.total_return + jnp.where(over, earned, 0.0),
        )
        # These rewards are counted. An environment that waits shows them no second time.
        state = dataclasses.replace(state, rewards=jnp.zeros_like(state.rewards))
        actors = Actors(
            state=jax.vmap(self.game.renew)(state, over, keys),
            learner=actors.learner,
            opponents=forgotten(self._opponent_policy, actors.opponents, over),
            fresh=actors.fresh | over,
            shown=actors.shown & ~over,
            earned=jnp.where(over, 0.0, earned),
            seen=_blanked(over, actors.seen),
        )
        return actors, episodes, outcome

    def _now_seen(self, acts: jax.Array, observation: Any, seen: Any) -> Any:
        """What the opponents have seen, leaves `[E, Q, ...]`, after those that act `[Q, E]` saw the
        observation of their environment, `[E, ...]`."""
        if not self._central:
            return ()
        new = jax.tree.map(
            lambda leaf, old: jnp.broadcast_to(leaf[:, None], old.shape), observation, seen
        )
        return _select(acts.T, new, seen)

    def _by_policy(
        self, outputs: jax.Array, legal: jax.Array | None, exploration: jax.Array | float
    ) -> Distribution:
        """The policy itself. `exploration` is not used."""
        return self.policy.distribution(outputs, legal)

    def _opponent_outputs(
        self, opponents: Params, observation: Any, memory: Memory
    ) -> tuple[jax.Array, Carry]:
        """Every opponent's outputs `[Q, E, ...]` and next carry, computed as at its own turn."""

        def strata(leaf: jax.Array) -> jax.Array:  # [Q, E, ...] -> [Q, S, B, ...]
            shape = (self._num_opponents, self.num_strata, self.num_envs // self.num_strata)
            return leaf.reshape(*shape, *leaf.shape[2:])

        seen = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (self._num_opponents, *leaf.shape)), observation
        )
        act = jax.vmap(jax.vmap(self._opponent_policy))
        outputs, _, carry = act(
            opponents, *jax.tree.map(strata, (seen, memory.last_action, memory.carry))
        )
        return jax.tree.map(
            lambda leaf: leaf.reshape(self._num_opponents, self.num_envs, *leaf.shape[3:]),
            (outputs, carry),
        )

    def _is_turn(self, state: State, seat: jax.Array) -> jax.Array:
        return ~state.ended & (state.player == seat)

    def _shows(self, actors: Actors, seat: jax.Array) -> jax.Array:
        """Whether the episode was cut off, and one more step shows its final observation to the
        learner, bool `[E]`: if it is next to move, has decided before, and has not yet seen it."""
        state = actors.state
        if not self.game.may_truncate:
            return jnp.zeros(self.num_envs, bool)
        return state.truncated & (state.player == seat) & ~actors.fresh & ~actors.shown

    def _step(self, state: State, action: jax.Array, where: jax.Array, keys: jax.Array) -> State:
        # An action that is none: a game on the host has no work with it.
        none = -1 if jnp.issubdtype(action.dtype, jnp.integer) else jnp.nan
        action = jnp.where(where.reshape(-1, *(1,) * (action.ndim - 1)), action, none)
        return _select(where, jax.vmap(self.game.step)(state, action, keys), state)


def _blanked(where: jax.Array, tree):
    """Zeros where `where` is True."""
    return _select(where, jax.tree.map(jnp.zeros_like, tree), tree)


def _select(where: jax.Array, new, old):
    """`new` where `where` is True, otherwise `old`. The first axes of leaves are those of
    `where`."""
    return jax.tree.map(
        lambda new, old: jnp.where(
            where.reshape(*where.shape, *(1,) * (old.ndim - where.ndim)), new, old
        ),
        new,
        old,
    )
