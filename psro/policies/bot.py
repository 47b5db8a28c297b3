"""A population as an OpenSpiel bot: one policy a game, drawn from the meta-strategy."""

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
    """Plays one player's meta-strategy: draws a policy for the game, and plays that to its end.

    The policy's network is stepped once for each own decision, on the tree's observation of the
    info state and the own action before, from a carry that begins with the game: what it was
    trained with. So its action probabilities are those that were tabulated, to float32's rounding.

    A bot is asked at its own decisions only, and needs not be told of the others' moves: which of
    its info states come on the way to this one is known from the tree, and those that its carry has
    not seen are caught up with. It can be asked for two games in turn, or twice for one decision.

    Attributes:
        player: the seat.
        drawn: number of the policy that is played now.
        weights: the meta-strategy that it was drawn from, float64 `[K]`.
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
            policy: what `params` are parameters of.
            params: the player's policies, leaves `[K, ...]`.
            weights: probability of each for a whole game, float64 `[K]`.
            plans: their realization plans, float64 `[K, S_p]`.
            seed: of the draws of policies and actions.
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
            self._act = self._policy  # a table is looked up without being compiled
        else:
            self._inputs = self._mine.observation
            self._policy, self._params = policy, params
            self._act = jax.jit(policy)  # once for all bots of the same `policy`
        self.restart()

    @own_settings()
    def __reduce__(self):
        """A bot in the middle of a game goes on with the same policy, memory and random numbers."""
        memory = {
            "_rng": self._rng,
            "_at": self._at,
            "_carry": jax.device_get(self._carry),
            "_logits": self._logits,
        }
        return _rebuilt, (self._arguments, self.drawn, memory)

    def restart(self) -> None:
        """A new game: draws a policy from the meta-strategy, and forgets everything."""
        self._draw(self.weights)

    @own_settings()
    def restart_as(self, policy: int) -> None:
        """A new game by the policy of that number, which somebody has drawn for several players."""
        self.drawn = policy
        self._mind = jax.tree.map(lambda leaf: leaf[policy], self._params)
        self._at, self._carry, self._logits = -1, self._policy.initial_carry(), None

    def restart_at(self, state: pyspiel.State) -> None:
        """Goes on from `state`, as if the bot had played what this player has played so far.

        The policy is drawn by how likely it is the one that did so: by its weight times the
        probability of the player's own actions on the way (its realization plan). So what is played
        from here on is, on average, what `Experiment.policy` says. Where no policy could have come
        here the meta-strategy itself is drawn from. The carry is rebuilt from the history.
        """
        sequence = self._index.sequence(state, self.player)
        reach = self.weights * self._plans[:, sequence]
        self._draw(reach / reach.sum() if reach.sum() > 0 else self.weights)
        self._remember(int(self._mine.info_state[sequence]))

    def provides_policy(self) -> bool:
        return True

    def get_policy(self, state: pyspiel.State) -> list[tuple[int, float]]:
        """Probability of each legal action at an own decision, by the policy that was drawn.

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
        """Steps the network through the own decisions after the last one up to this one, -1 for
        none; from the beginning, where the last one is not on the way."""
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
    """Tables by level, leaves `[K, W, A]`, as what `Lookup` takes, leaves `[K, R, ...]`."""
    logits = np.concatenate([np.asarray(tables[level]) for level in sorted(tables)], axis=1)
    return {"logits": logits, "value": np.zeros(logits.shape[:2], np.float32)}
