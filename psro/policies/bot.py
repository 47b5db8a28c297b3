"""A population as an OpenSpiel bot. It draws one policy per game from the meta-strategy."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pyspiel

from games import GameTree, InfoStateIndex
from games.levels import rows
from games.readers.states import OwnDecision, States, actions_of
from psro.policies.jax_settings import own_settings
from psro.policies.mixed_behaviour import MixedBehaviour
from psro.policies.policy import Lookup, Params, Policy, TablePolicy


class MixtureBot(pyspiel.Bot):
    """Plays one player's meta-strategy: draws a policy for the game, and plays it to the end.

    The policy's network takes one step for each own decision, as in training, on what the player
    sees and the player's previous action. The carry begins with the game.

    A bot is called only at its own decisions. It does not need the other players' moves: it finds
    the player's earlier decisions by itself, and the network steps through those that the carry has
    not seen. Calls for two games may alternate, and a decision may be asked for twice.

    Attributes:
        player: the seat.
        drawn: number of the policy that plays now.
        weights: the meta-strategy that the policy was drawn from, float64 `[K]`.
    """

    def __init__(
        self,
        *,
        player: int,
        policy: Policy | Lookup,
        params: Params,
        weights: np.ndarray,
        seed: int | np.random.SeedSequence,
    ):
        super().__init__()
        self.player, self.weights = player, weights
        self._policy, self._params = policy, params
        # A table needs no compilation. The rest is compiled once for all bots of one `policy`.
        self._act = policy if isinstance(policy, Lookup) else jax.jit(policy)
        self._rng = np.random.default_rng(seed)
        self.restart()

    def restart(self) -> None:
        """Begins a new game: draws a policy from the meta-strategy and clears the memory."""
        self._draw(self.weights)

    @own_settings()
    def restart_as(self, policy: int) -> None:
        """Begins a new game with the policy of this number. The caller has drawn it, for example
        for several players together."""
        self.drawn = policy
        self._mind = jax.tree.map(lambda leaf: leaf[policy], self._params)
        self._carry, self._logits = self._policy.initial_carry(), None
        self._forget()

    def restart_at(self, state: pyspiel.State) -> None:
        """Continues from `state`, as if the bot had taken this player's earlier actions.

        The policy is drawn from the posterior: its weight times the probability of the player's
        earlier actions (its realization plan). So the bot's later play is, on average, that of
        `Experiment.policy`. If no policy can reach `state`, the policy is drawn from the
        meta-strategy. The carry is computed again from the history.
        """
        raise NotImplementedError

    def provides_policy(self) -> bool:
        return True

    def get_policy(self, state: pyspiel.State) -> list[tuple[int, float]]:
        """Probability of each legal action at an own decision, for the policy that was drawn.

        Raises `KeyError` for a state in which the player does not move.
        """
        legal = np.asarray(self._remember(state))
        logits = self._logits[legal].astype(np.float64)
        weights = np.exp(logits - logits.max())
        return list(zip(legal.tolist(), (weights / weights.sum()).tolist(), strict=True))

    def step_with_policy(self, state: pyspiel.State) -> tuple[list[tuple[int, float]], int]:
        """`get_policy`, and an action drawn from it."""
        policy = self.get_policy(state)
        actions, probabilities = zip(*policy, strict=True)
        return policy, int(self._rng.choice(actions, p=probabilities))

    def step(self, state: pyspiel.State) -> int:
        """An action at an own decision."""
        return self.step_with_policy(state)[1]

    def _forget(self) -> None:
        """Clears the memory of own decisions."""
        raise NotImplementedError

    def _remember(self, state: pyspiel.State) -> Sequence[int]:
        """Steps the network to `state`, and returns the legal actions."""
        raise NotImplementedError

    def _draw(self, weights: np.ndarray) -> None:
        self.restart_as(int(self._rng.choice(len(weights), p=weights)))

    def _step(self, observation: np.ndarray, last_action: int) -> None:
        logits, _, self._carry = self._act(self._mind, observation, last_action, self._carry)
        self._logits = np.asarray(logits)

    def _memory(self) -> dict[str, Any]:
        """What a copy of the bot in the middle of a game needs, besides its arguments."""
        return {
            "_rng": self._rng,
            "_carry": jax.device_get(self._carry),
            "_logits": self._logits,
        }


class PopulationBot(MixtureBot):
    """The bot of an enumerated game. Its input is the tree's observation of the info state. So the
    action probabilities equal the tabulated ones up to float32's rounding.

    Args:
        tree: the game.
        player: the seat.
        policy: the policy function that takes `params`.
        params: the parameters of the player's policies, leaves `[K, ...]`.
        weights: probability of each policy for a whole game, float64 `[K]`.
        plans: the policies' realization plans, float64 `[K, S_p]`.
        seed: seed of the draws of policies and actions.
    """

    def __init__(
        self,
        *,
        tree: GameTree,
        player: int,
        policy: Policy | TablePolicy,
        params: Params,
        weights: np.ndarray,
        plans: np.ndarray,
        seed: int | np.random.SeedSequence,
    ):
        self._arguments = {
            "tree": tree,
            "player": player,
            "policy": policy,
            "params": params,
            "weights": weights,
            "plans": plans,
        }
        self._mine = tree.players[player]
        self._index = InfoStateIndex(tree, [player])
        self._plans = plans
        if isinstance(policy, TablePolicy):
            first = sum(other.num_info_states for other in tree.players[:player])
            self._inputs = rows(tree)[first : first + self._mine.num_info_states]
            policy, params = Lookup(), _end_to_end(params)
        else:
            self._inputs = self._mine.observation
        super().__init__(player=player, policy=policy, params=params, weights=weights, seed=seed)

    @own_settings()
    def __reduce__(self):
        """A copy of a bot in the middle of a game continues with the same policy, memory and random
        numbers."""
        memory = self._memory() | {"_at": self._at}
        return _rebuilt, (PopulationBot, self._arguments, self.drawn, memory)

    def restart_at(self, state: pyspiel.State) -> None:
        sequence = self._index.sequence(state, self.player)
        reach = self.weights * self._plans[:, sequence]
        self._draw(reach / reach.sum() if reach.sum() > 0 else self.weights)
        self._remember_at(int(self._mine.info_state[sequence]))

    def _forget(self) -> None:
        self._at = -1

    def _remember(self, state: pyspiel.State) -> np.ndarray:
        info_state = self._index.info_state(state, self.player)
        self._remember_at(info_state)
        return np.flatnonzero(self._mine.legal[info_state])

    @own_settings()
    def _remember_at(self, info_state: int) -> None:
        """Steps the network from the last decision that it saw to `info_state` (-1: none). If the
        last decision does not lead to `info_state`, it steps from the beginning."""
        player_tree, ahead = self._mine, []
        while info_state not in (-1, self._at):
            ahead.append(info_state)
            info_state = int(player_tree.info_state[player_tree.parent[info_state]])
        if info_state == -1:
            self._carry = self._policy.initial_carry()
        for info_state in reversed(ahead):
            last_action = player_tree.action[player_tree.parent[info_state]]
            self._step(self._inputs[info_state], last_action)
            self._at = info_state


class EpisodeBot(MixtureBot):
    """The bot of a game that is not enumerated. It sees states as they come: OpenSpiel's, or those
    of other libraries' environments (`games.hosted.states`).

    Args:
        states: the game's states.
        player: the seat.
        policy: the policy function that takes `params`.
        params: the parameters of the player's policies, leaves `[K, ...]`.
        weights: probability of each policy for a whole game, float64 `[K]`.
        seed: seed of the draws of policies and actions.
    """

    def __init__(
        self,
        *,
        states: States,
        player: int,
        policy: Policy,
        params: Params,
        weights: np.ndarray,
        seed: int | np.random.SeedSequence,
    ):
        self._arguments = {
            "states": states,
            "player": player,
            "policy": policy,
            "params": params,
            "weights": weights,
        }
        self._states = states
        self._way = states.way(player)
        super().__init__(player=player, policy=policy, params=params, weights=weights, seed=seed)

    @own_settings()
    def __reduce__(self):
        """As `PopulationBot.__reduce__`."""
        memory = self._memory() | {"_seen": self._seen, "_way": self._way}
        return _rebuilt, (EpisodeBot, self._arguments, self.drawn, memory)

    @functools.cached_property
    def _behaviour(self) -> MixedBehaviour:
        return MixedBehaviour(self._policy, self._params, self.weights)

    def restart_at(self, state: pyspiel.State) -> None:
        self._forget()
        decisions, actions = self._way.before(state), actions_of(state, self.player)
        self._draw(self._behaviour.posterior(decisions, actions))
        self._see(decisions)

    def _forget(self) -> None:
        self._way.restart()
        self._seen: list[bytes] = []

    def _remember(self, state: pyspiel.State) -> tuple[int, ...]:
        decisions = self._way.to(state)
        self._see(decisions)
        return decisions[-1].legal

    @own_settings()
    def _see(self, decisions: Sequence[OwnDecision]) -> None:
        """Steps the network through the decisions that it has not seen; all of them, if it has seen
        others."""
        keys = [decision.key for decision in decisions]
        if keys[: len(self._seen)] != self._seen:
            self._carry, self._seen = self._policy.initial_carry(), []
        for decision in decisions[len(self._seen) :]:
            self._step(decision.observation, decision.last_action)
        self._seen = keys


def _rebuilt(
    kind: type[MixtureBot], arguments: dict[str, Any], drawn: int, memory: dict[str, Any]
) -> MixtureBot:
    bot = kind(**arguments, seed=0)
    bot.restart_as(drawn)
    vars(bot).update(memory)
    return bot


def _end_to_end(tables: Params) -> Params:
    """Tables by level, leaves `[K, W, A]`, in the form of `Lookup`, leaves `[K, R, ...]`."""
    logits = np.concatenate([np.asarray(tables[level]) for level in sorted(tables)], axis=1)
    return {"logits": logits, "value": np.zeros(logits.shape[:2], np.float32)}
