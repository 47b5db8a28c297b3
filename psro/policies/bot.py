"""A population as an OpenSpiel bot. It draws one policy per game from the meta-strategy."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pyspiel

from games import GameTree, InfoStateIndex
from games.levels import rows
from psro.policies.jax_settings import own_settings
from psro.policies.policy import Lookup, Params, Policy, TablePolicy


class PopulationBot(pyspiel.Bot):
    """Plays one player's meta-strategy: draws a policy for the game, and plays it to the end.

    The policy's network takes one step for each own decision, as in training. Its input is the
    tree's observation of the info state and the player's previous action. The carry begins with the
    game. So the action probabilities equal the tabulated ones up to float32's rounding.

    A bot is called only at its own decisions. It does not need the other players' moves: the tree
    gives the earlier info states of the player, and the network steps through those that the carry
    has not seen. Calls for two games may alternate, and a decision may be asked for twice.

    Attributes:
        player: the seat.
        drawn: number of the policy that plays now.
        weights: the meta-strategy that the policy was drawn from, float64 `[K]`.
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
        """
        Args:
            tree: the game.
            player: the seat.
            policy: the policy function that takes `params`.
            params: the parameters of the player's policies, leaves `[K, ...]`.
            weights: probability of each policy for a whole game, float64 `[K]`.
            plans: the policies' realization plans, float64 `[K, S_p]`.
            seed: seed of the draws of policies and actions.
        """
        super().__init__()
        self._arguments = {
            "tree": tree,
            "player": player,
            "policy": policy,
            "params": params,
            "weights": weights,
            "plans": plans,
        }
        self.player, self.weights = player, weights
        self._mine = tree.players[player]
        self._index = InfoStateIndex(tree, [player])
        self._plans = plans
        self._rng = np.random.default_rng(seed)
        if isinstance(policy, TablePolicy):
            first = sum(other.num_info_states for other in tree.players[:player])
            self._inputs = rows(tree)[first : first + self._mine.num_info_states]
            self._policy, self._params = Lookup(), _end_to_end(params)
            self._act = self._policy  # a table needs no compilation
        else:
            self._inputs = self._mine.observation
            self._policy, self._params = policy, params
            self._act = jax.jit(policy)  # once for all bots of the same `policy`
        self.restart()

    @own_settings()
    def __reduce__(self):
        """A copy of a bot in the middle of a game continues with the same policy, memory and random
        numbers."""
        memory = {
            "_rng": self._rng,
            "_at": self._at,
            "_carry": jax.device_get(self._carry),
            "_logits": self._logits,
        }
        return _rebuilt, (self._arguments, self.drawn, memory)

    def restart(self) -> None:
        """Begins a new game: draws a policy from the meta-strategy and clears the memory."""
        self._draw(self.weights)

    @own_settings()
    def restart_as(self, policy: int) -> None:
        """Begins a new game with the policy of this number. The caller has drawn it, for example
        for several players together."""
        self.drawn = policy
        self._mind = jax.tree.map(lambda leaf: leaf[policy], self._params)
        self._at, self._carry, self._logits = -1, self._policy.initial_carry(), None

    def restart_at(self, state: pyspiel.State) -> None:
        """Continues from `state`, as if the bot had taken this player's earlier actions.

        The policy is drawn from the posterior: its weight times the probability of the player's
        earlier actions (its realization plan). So the bot's later play is, on average, that of
        `Experiment.policy`. If no policy can reach `state`, the policy is drawn from the
        meta-strategy. The carry is computed again from the history.
        """
        sequence = self._index.sequence(state, self.player)
        reach = self.weights * self._plans[:, sequence]
        self._draw(reach / reach.sum() if reach.sum() > 0 else self.weights)
        self._remember(int(self._mine.info_state[sequence]))

    def provides_policy(self) -> bool:
        return True

    def get_policy(self, state: pyspiel.State) -> list[tuple[int, float]]:
        """Probability of each legal action at an own decision, for the policy that was drawn.

        Raises `KeyError` for a state that is not in the tree.
        """
        info_state = self._index.info_state(state, self.player)
        self._remember(info_state)
        legal = np.flatnonzero(self._mine.legal[info_state])
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

    def _draw(self, weights: np.ndarray) -> None:
        self.restart_as(int(self._rng.choice(len(weights), p=weights)))

    @own_settings()
    def _remember(self, info_state: int) -> None:
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
            logits, _, self._carry = self._act(
                self._mind, self._inputs[info_state], last_action, self._carry
            )
            self._at, self._logits = info_state, np.asarray(logits)


def _rebuilt(arguments: dict[str, Any], drawn: int, memory: dict[str, Any]) -> PopulationBot:
    bot = PopulationBot(**arguments, seed=0)
    bot.restart_as(drawn)
    vars(bot).update(memory)
    return bot


def _end_to_end(tables: Params) -> Params:
    """Tables by level, leaves `[K, W, A]`, in the form of `Lookup`, leaves `[K, R, ...]`."""
    logits = np.concatenate([np.asarray(tables[level]) for level in sorted(tables)], axis=1)
    return {"logits": logits, "value": np.zeros(logits.shape[:2], np.float32)}
