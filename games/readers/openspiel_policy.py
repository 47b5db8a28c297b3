"""A tree's states, policies and names of actions, in OpenSpiel's terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyspiel
from open_spiel.python import policy

from games.errors import GameError
from games.readers.identity import identities
from games.tree import GameTree


class InfoStateIndex:
    """Finds OpenSpiel's states in a tree, for some of its players.

    States are those of `tree.openspiel()`, or of the same game before its simultaneous moves became
    turns. At a simultaneous move, each player is asked as if it were its turn.

    Raises `GameError` if OpenSpiel has no such game.
    """

    def __init__(self, tree: GameTree, players: Iterable[int]):
        self.game = tree.openspiel()
        self._tree = tree
        self._identity = identities(self.game)[tree.identity]
        self._index = {p: {key: i for i, key in enumerate(tree.players[p].keys)} for p in players}

    def info_state(self, state: pyspiel.State, player: int) -> int:
        """The number of `player`'s info state. Raises `KeyError` if it is not in the tree."""
        state = in_turn(self.game, state, player)
        # Only the `history` identity asks for the parent.
        parent = self.sequence(state, player) if self._identity.by_history else 0
        return self._index[player][self._identity.key(state, player, parent)]

    def sequence(self, state: pyspiel.State, player: int) -> int:
        """`player`'s last sequence on the way to `state`; 0 before its first decision."""
        own, last, before = self._tree.players[player], 0, self.game.new_initial_state()
        for action in state.history():
            if before.current_player() == player:
                info_state = self._index[player][self._identity.key(before, player, last)]
                rank = int(np.searchsorted(own.actions(info_state), action))
                last = int(own.first_sequence[info_state]) + rank
            before.apply_action(action)
        return last


def in_turn(game: pyspiel.Game, state: pyspiel.State, player: int) -> pyspiel.State:
    """`player`'s turn at a simultaneous move, as a state of `game`, whose moves are in turn; any
    other state is itself. The player does not see what earlier players choose, so any of their
    actions will do."""
    if not state.is_simultaneous_node():
        return state
    turn = game.new_initial_state()
    for action in state.history():
        turn.apply_action(action)
    while turn.current_player() != player:
        turn.apply_action(turn.legal_actions()[0])
    return turn


class TreePolicy(policy.Policy):
    """Tabular policies of a tree as an OpenSpiel policy, for its algorithms and bots.

    Args:
        tree: the game.
        behaviours: action probabilities over sequences, `[S_p]`, of each player that it plays for.
    """

    def __init__(self, tree: GameTree, behaviours: Mapping[int, np.ndarray]):
        self._index = InfoStateIndex(tree, behaviours)
        super().__init__(self._index.game, sorted(behaviours))
        self._tree = tree
        self._behaviours = dict(behaviours)

    def __reduce__(self):
        return TreePolicy, (self._tree, self._behaviours)

    def action_probabilities(
        self, state: pyspiel.State, player_id: int | None = None
    ) -> dict[int, float]:
        """Probability of each legal action at `state`, for `player_id` or the player to move.

        Raises `KeyError` for a player that it does not play for, or a state that is not in the
        tree.
        """
        player = state.current_player() if player_id is None else player_id
        if player not in self._behaviours:
            raise KeyError(f"this policy is for players {self.player_ids}, not for player {player}")
        own = self._tree.players[player]
        info_state = self._index.info_state(state, player)
        start, stop = own.first_sequence[info_state : info_state + 2]
        return {int(own.action[s]): float(self._behaviours[player][s]) for s in range(start, stop)}


def decisions(tree: GameTree) -> Iterator[tuple[pyspiel.State, int, int, list[int]]]:
    """OpenSpiel's states at all decisions of a tree, depth first in the order of actions: the
    state, its player, the number of the info state, and the legal actions."""
    index = InfoStateIndex(tree, range(tree.num_players))
    waiting = [index.game.new_initial_state()]
    while waiting:
        state = waiting.pop()
        if state.is_terminal():
            continue
        legal = state.legal_actions()
        if state.is_chance_node():
            legal = [action for action, probability in state.chance_outcomes() if probability > 0]
        else:
            player = state.current_player()
            yield state, player, index.info_state(state, player), legal
        waiting += [state.child(action) for action in reversed(legal)]


def behaviours_of(tree: GameTree, own: policy.Policy) -> list[np.ndarray]:
    """An OpenSpiel policy of all players as behaviours over sequences, float64 `[S_p]` of each
    player. It is asked at the first history of each info state. This walks through all histories.

    Raises:
        GameError: it fails, or gives no probabilities of legal actions.
    """
    behaviours = [np.full(player.num_sequences, -1.0) for player in tree.players]
    for state, player, info_state, legal in decisions(tree):
        first = int(tree.players[player].first_sequence[info_state])
        if behaviours[player][first] < 0:
            place = slice(first, first + len(legal))
            behaviours[player][place] = _probabilities(own, state, player, legal)
    for behaviour in behaviours:
        behaviour[0] = 1.0
    return behaviours


def _probabilities(
    own: policy.Policy, state: pyspiel.State, player: int, legal: list[int]
) -> np.ndarray:
    """What an OpenSpiel policy plays at a state, as probabilities of the legal actions."""
    where = f"at {state.history_str() or 'the first decision'!r}"
    try:
        said = own.action_probabilities(state, player)
        said = {int(action): float(probability) for action, probability in said.items()}
    except Exception as error:  # whatever the policy of the user raises
        told = " ".join(str(error).split())[:200]
        raise GameError(f"the policy fails {where}: {type(error).__name__}: {told}") from None
    chances = np.array([said.get(action, 0.0) for action in legal])
    outside = sum(abs(chance) for action, chance in said.items() if action not in legal)
    if not (chances >= 0).all() or not abs(chances.sum() - 1) < 1e-6 or outside > 1e-6:
        raise GameError(
            f"the policy gives no probabilities of the legal actions {where}: they are "
            f"{str(said)[:200]}"
        )
    return chances / chances.sum()


def action_names(tree: GameTree) -> list[list[str]]:
    """The name of every action of every player, `[P][S_p]` ("" for the empty sequence). Names come
    from the game's file if it has labels, otherwise from OpenSpiel, in the first history of each
    info state. OpenSpiel's names need a walk through all histories, so this is for small games
    only."""
    if all(player.action_names is not None for player in tree.players):
        return [list(player.action_names) for player in tree.players]
    names = [[""] * player.num_sequences for player in tree.players]
    for state, player, info_state, legal in decisions(tree):
        first = int(tree.players[player].first_sequence[info_state])
        for sequence, action in enumerate(legal, first):
            names[player][sequence] = names[player][sequence] or state.action_to_string(action)
    return names
