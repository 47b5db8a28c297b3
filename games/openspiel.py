"""Any OpenSpiel game, by its string, as a `GameTree`. The one place that reads pyspiel states."""

from __future__ import annotations

import contextlib
import difflib
import math
import os
import random
import re
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyspiel
from open_spiel.python import policy

from games import files
from games.normal_form import NormalForm
from games.tree import GameError, GameTree, PlayerTree

OBSERVATIONS = ("information_state", "observation")
"""The tensors a policy can be given; the first that a game provides is the default."""

MAX_HISTORIES = 5_000_000

_PROBE_AFTER = 1_000  # histories seen before the size of the rest is estimated
_NUM_PROBES = 64


class _ImperfectRecall(Exception):
    """Two histories of one info state differ in their player's parent sequence or legal actions."""

    def __init__(self, info_state: object, reason: str):
        super().__init__(info_state, reason)
        self.info_state = info_state
        self.reason = reason


def load_openspiel(name: str) -> pyspiel.Game:
    """OpenSpiel's game for `name`, or for what the file `name` holds; simultaneous moves become
    turns that hide what was chosen.

    Raises `GameError` when OpenSpiel has no such game, refuses its parameters, or when it is not
    a finite game of several players in a form that can be enumerated.
    """
    if files.is_file(name):
        return _from_file(name)
    short_name = re.split(r"[(\s]", name, maxsplit=1)[0]
    known = pyspiel.registered_names()
    if short_name not in known:
        near = difflib.get_close_matches(short_name, known, n=3, cutoff=0.5)
        near += [
            other for other in known if short_name and short_name in other and other not in near
        ]
        hint = f"did you mean {' or '.join(near[:3])}?" if near else "`psro games` lists some"
        raise GameError(f"no game is called {short_name!r}; {hint}")
    try:
        with _silent_stderr():  # OpenSpiel prints what it raises
            game = pyspiel.load_game(name)
    except Exception as error:  # of several kinds, by the game
        raise GameError(f"OpenSpiel cannot load {name!r}: {_sentence(error)}") from None
    kind = game.get_type()
    if kind.dynamics == pyspiel.GameType.Dynamics.MEAN_FIELD:
        raise GameError(f"{name!r} is a mean-field game; only games with a finite tree can be used")
    if kind.chance_mode == pyspiel.GameType.ChanceMode.SAMPLED_STOCHASTIC:
        raise GameError(f"{name!r} hides its chance probabilities, so it cannot be enumerated")
    if game.num_players() < 2:
        raise GameError(f"{name!r} has {game.num_players()} player; a population needs opponents")
    if kind.dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS:
        game = pyspiel.convert_to_turn_based(game)
    return game


def _from_file(name: str) -> pyspiel.Game:
    if files.is_extensive(name):
        text = files.read_efg(name)
        try:
            with _silent_stderr():
                return pyspiel.load_efg_game(text)
        except Exception as error:
            raise GameError(f"OpenSpiel cannot load {name!r}: {_sentence(error)}") from None
    game = NormalForm(files.read_payoffs(name), name=name, max_histories=MAX_HISTORIES)
    game.check_size()
    payoffs = [game.payoffs_of(player) for player in range(game.num_players)]
    return pyspiel.convert_to_turn_based(pyspiel.create_tensor_game(payoffs))


def load(
    name: str, *, observation: str | None = None, max_histories: int = MAX_HISTORIES
) -> GameTree:
    """A game by its name: an OpenSpiel game string, or a file (`games.files` tells which).

    A file of payoffs becomes a `NormalForm`, whose terminals stay implicit, and which is therefore
    not refused for its size here; everything else is enumerated, see `compile_tree`.

    Args:
        name: `"leduc_poker(players=3)"`, `"poker.efg"`, `"matrix.csv"`.
        observation: the policy's input, one of `OBSERVATIONS`; None takes the first provided.
        max_histories: refuse to enumerate a game with more histories.

    Raises:
        GameError: the game is unknown, too large, of imperfect recall, or provides no such tensor,
            or the file is not what its ending says.
    """
    if files.is_file(name) and not files.is_extensive(name):
        if observation not in (None, *OBSERVATIONS):
            raise GameError(
                f"unknown observation {observation!r}; known: {', '.join(OBSERVATIONS)}"
            )
        return NormalForm(files.read_payoffs(name), name=name, max_histories=max_histories)
    return compile_tree(name, observation=observation, max_histories=max_histories)


def compile_tree(
    name: str, *, observation: str | None = None, max_histories: int = MAX_HISTORIES
) -> GameTree:
    """Enumerates an OpenSpiel game into a `GameTree`.

    Info states are told apart by OpenSpiel's information state string; where that breaks perfect
    recall, by its tensor; in a game that has neither, by the player's action-observation history.
    (In one whose information states forget, a history would be another game than OpenSpiel's.)

    Args:
        name: an OpenSpiel game string, parameters included: `"leduc_poker(players=3)"`.
        observation: the policy's input, one of `OBSERVATIONS`; None takes the first provided.
        max_histories: refuse a game with more histories (chance nodes and terminals included).

    Raises:
        GameError: the game is unknown, too large, of imperfect recall, or provides no such tensor.
    """
    game = load_openspiel(name)
    observation, observe = _observation(name, game, observation)
    identities = _identities(game)
    if len(identities) > 1:
        identities.pop("history", None)
    failure = None
    for identity, identify in identities.items():
        try:
            return _enumerate(name, game, observation, observe, identity, identify, max_histories)
        except _ImperfectRecall as error:
            failure = failure or error
        except (pyspiel.SpielError, RuntimeError, MemoryError) as error:
            raise GameError(f"OpenSpiel failed in {name!r}: {_sentence(error)}") from None
    if failure is None:
        raise GameError(f"{name!r} provides no information state, so its tree cannot be built")
    raise GameError(
        f"{name!r} has imperfect recall: info state {failure.info_state!r} {failure.reason}"
    )


def _sentence(error: Exception) -> str:
    """OpenSpiel's message on one line, without the place in its source."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"^/\S+:\d+ ", "", text)[:200]


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _observation(
    name: str, game: pyspiel.Game, wanted: str | None
) -> tuple[str, Callable[[Any, int], list[float]]]:
    kind = game.get_type()
    provided = {
        "information_state": kind.provides_information_state_tensor,
        "observation": kind.provides_observation_tensor,
    }
    if wanted is None:
        wanted = next((each for each in OBSERVATIONS if provided[each]), None)
        if wanted is None:
            raise GameError(f"{name!r} provides no tensor that a policy could take as its input")
    if wanted not in provided:
        raise GameError(f"unknown observation {wanted!r}; known: {', '.join(OBSERVATIONS)}")
    if not provided[wanted]:
        raise GameError(
            f"{name!r} provides no {wanted} tensor; it provides "
            f"{', '.join(each for each in OBSERVATIONS if provided[each]) or 'none'}"
        )
    if wanted == "information_state":
        return wanted, lambda state, player: state.information_state_tensor(player)
    return wanted, lambda state, player: state.observation_tensor(player)


def _identities(game: pyspiel.Game) -> dict[str, Callable[[Any, int, int], object]]:
    """Ways to tell a player's info states apart, best first: (state, player, parent sequence)."""
    kind = game.get_type()
    identities: dict[str, Callable[[Any, int, int], object]] = {}
    if kind.provides_information_state_string:
        identities["string"] = lambda state, player, parent: state.information_state_string(player)
    if kind.provides_information_state_tensor:
        identities["tensor"] = lambda state, player, parent: array(
            "d", state.information_state_tensor(player)
        ).tobytes()
    if kind.provides_observation_string:
        identities["history"] = lambda state, player, parent: (
            parent,
            state.observation_string(player),
        )
    elif kind.provides_observation_tensor:
        identities["history"] = lambda state, player, parent: (
            parent,
            tuple(state.observation_tensor(player)),
        )
    return identities


class _InfoStates:
    """One player's info states in the order in which they are met; a parent is met before."""

    def __init__(self):
        self.index: dict[object, int] = {}
        self.names: list[str] = []
        self.observation = array("f")
        self.legal: list[list[int]] = []
        self.parent = array("i")
        self.depth = array("i")
        self.first_sequence = array("i")
        self.owner = array("i", [-1])  # the info state of each sequence

    def add(self, key: object, name: str, observation: list[float], legal: list[int], parent: int):
        number = len(self.names)
        self.index[key] = number
        self.names.append(name)
        self.observation.extend(observation)
        self.legal.append(legal)
        self.parent.append(parent)
        before = self.owner[parent]
        self.depth.append(0 if before < 0 else self.depth[before] + 1)
        self.first_sequence.append(len(self.owner))
        self.owner.extend([number] * len(legal))
        return number

    def finish(
        self, num_actions: int, size: int, identity: str
    ) -> tuple[PlayerTree, np.ndarray, np.ndarray]:
        """The `PlayerTree`, and the new number of each info state and of each sequence."""
        depth = np.asarray(self.depth)
        order = np.argsort(depth, kind="stable")
        new_info_state = np.empty(len(order), np.int32)
        new_info_state[order] = np.arange(len(order), dtype=np.int32)
        counts = np.array([len(self.legal[i]) for i in order], np.int32)
        first = np.concatenate([[1], 1 + np.cumsum(counts)]).astype(np.int32)
        old_first = np.asarray(self.first_sequence)[order]
        new_sequence = np.zeros(len(self.owner), np.int32)
        offsets = np.arange(first[-1] - 1, dtype=np.int32) - np.repeat(first[:-1] - 1, counts)
        new_sequence[np.repeat(old_first, counts) + offsets] = np.arange(1, first[-1])
        info_state = np.repeat(np.arange(len(order), dtype=np.int32), counts)
        action = np.array([a for i in order for a in self.legal[i]], np.int32)
        legal = np.zeros((len(order), num_actions), bool)
        legal[info_state, action] = True
        levels = int(depth.max()) + 1 if len(depth) else 0
        names, keys = tuple(self.names[i] for i in order), list(self.index)
        if identity == "history":
            keys = [(int(new_sequence[parent]), seen) for parent, seen in keys]
        tree = PlayerTree(
            observation=np.asarray(self.observation).reshape(len(order), size)[order],
            legal=legal,
            parent=new_sequence[np.asarray(self.parent)[order]],
            first_sequence=first,
            info_state=np.concatenate([[-1], info_state]).astype(np.int32),
            action=np.concatenate([[-1], action]).astype(np.int32),
            level_start=np.searchsorted(depth[order], np.arange(levels + 1)).astype(np.int32),
            names=names,
            keys=names if identity == "string" else tuple(keys[i] for i in order),
        )
        return tree, new_info_state, new_sequence


def _enumerate(
    name: str,
    game: pyspiel.Game,
    observation: str,
    observe: Callable[[Any, int], list[float]],
    identity: str,
    identify: Callable[[Any, int, int], object],
    max_histories: int,
) -> GameTree:
    """Depth first over all histories; see `compile_tree`."""
    num_players, terminal, chance = game.num_players(), int(pyspiel.PlayerId.TERMINAL), -1
    shape = (
        game.information_state_tensor_shape()
        if observation == "information_state"
        else game.observation_tensor_shape()
    )
    describe = (
        (lambda state, player: state.information_state_string(player))
        if game.get_type().provides_information_state_string
        else (lambda state, player: state.observation_string(player))
    )
    players = [_InfoStates() for _ in range(num_players)]
    # Of every terminal and decision: the slot that it comes from and chance's reach.
    terminal_slot, terminal_reach, returns, sequence = _arrays("iddi")
    decision_slot, decision_reach, decision_player, decision_info_state, first_slot = _arrays(
        "idbii"
    )
    num_slots, num_histories = 1, 0

    # What is left to see: a state and the action to take there (a child is made when its turn
    # comes, because states of long games are large), then the child's slot, reach and sequences.
    stack = [(None, 0, 0, 1.0, (0,) * num_players)]
    pop, push = stack.pop, stack.append
    while stack:
        state, action, slot, reach, sequences = pop()
        state = state.child(action) if state is not None else game.new_initial_state()
        num_histories += 1
        if num_histories == _PROBE_AFTER:
            _refuse_hopeless(name, game, num_histories, max_histories)
        if num_histories > max_histories:
            raise GameError(
                f"{name!r} is too large to enumerate: {num_histories:,} histories were seen and "
                f"the limit is {max_histories:,} (--max-histories)"
            )
        player = state.current_player()
        if player == terminal:
            terminal_slot.append(slot)
            terminal_reach.append(reach)
            returns.extend(state.returns())
            sequence.extend(sequences)
        elif player == chance:
            for action, share in state.chance_outcomes():
                if share > 0:
                    push((state, action, slot, reach * share, sequences))
        elif player >= 0:
            mine = players[player]
            key = identify(state, player, sequences[player])
            legal = state.legal_actions()
            number = mine.index.get(key)
            if number is None:
                label = key if identity == "string" else describe(state, player)
                number = mine.add(key, label, observe(state, player), legal, sequences[player])
            elif mine.parent[number] != sequences[player]:
                raise _ImperfectRecall(mine.names[number], "has more than one parent sequence")
            elif mine.legal[number] != legal:
                raise _ImperfectRecall(mine.names[number], "has differing legal actions")
            decision_slot.append(slot)
            decision_reach.append(reach)
            decision_player.append(player)
            decision_info_state.append(number)
            first_slot.append(num_slots)
            child_sequences = list(sequences)
            child_sequences[player] = mine.first_sequence[number]
            for action in legal:
                push((state, action, num_slots, reach, tuple(child_sequences)))
                num_slots += 1
                child_sequences[player] += 1
        else:
            raise GameError(f"{name!r} has a node of kind {player}, which no tree can hold")

    finished = [
        mine.finish(game.num_distinct_actions(), math.prod(shape), identity) for mine in players
    ]
    seats = np.asarray(decision_player).astype(np.int32)
    info_states = np.asarray(decision_info_state).copy()
    sequences = np.asarray(sequence).reshape(-1, num_players).copy()
    for seat, (_, new_info_state, new_sequence) in enumerate(finished):
        info_states[seats == seat] = new_info_state[info_states[seats == seat]]
        sequences[:, seat] = new_sequence[sequences[:, seat]]
    # Decisions and terminals, decisions first, are the outcomes of the slots they come from.
    slots = np.concatenate([np.asarray(decision_slot), np.asarray(terminal_slot)])
    reach = np.concatenate([np.asarray(decision_reach), np.asarray(terminal_reach)])
    num_children = np.diff(np.append(np.asarray(first_slot), num_slots))
    owner = np.concatenate([[-1], np.repeat(np.arange(len(seats)), num_children)])  # of each slot
    parent = owner[slots]
    order = np.argsort(slots, kind="stable")
    return GameTree(
        name=name,
        observation_kind=observation,
        identity=identity,
        num_actions=game.num_distinct_actions(),
        num_histories=num_histories,
        max_length=_longest(parent[: len(seats)]),
        players=tuple(tree for tree, _, _ in finished),
        chance=np.asarray(terminal_reach).copy(),
        returns=np.asarray(returns).reshape(-1, num_players).copy(),
        sequence=sequences,
        decision_player=seats,
        decision_info_state=info_states,
        first_slot=np.asarray(first_slot).copy(),
        first_outcome=np.searchsorted(slots[order], np.arange(num_slots + 1)).astype(np.int32),
        outcome_node=order.astype(np.int32),
        outcome_probability=(reach / np.where(parent < 0, 1.0, reach[parent]))[order],
    )


def _arrays(types: str) -> list[array]:
    return [array(each) for each in types]


def _longest(parent: np.ndarray) -> int:
    """The most decisions on one path, from each decision's parent decision (-1 for none)."""
    length, deepest = 0, np.arange(len(parent))
    while len(deepest):
        length += 1
        deepest = np.unique(parent[deepest])
        deepest = deepest[deepest >= 0]
    return length


def _refuse_hopeless(name: str, game: pyspiel.Game, seen: int, max_histories: int) -> None:
    """Refuses a game that random probes put far beyond the limit (Knuth 1975, "Estimating the
    efficiency of backtrack programs"): a uniform walk that meets branching b_1, b_2, ... estimates
    1 + b_1 + b_1 b_2 + ... nodes without bias. By Markov's inequality a probe exceeds ten times the
    true number with probability at most 1/10, so when half of them exceed ten times the limit, the
    number exceeds the limit. A probe stops where it is far enough beyond.
    """
    generator = random.Random(0)
    enough = math.log(max_histories) + math.log(1000)
    probes = []
    for _ in range(_NUM_PROBES):
        state, log_nodes = game.new_initial_state(), 0.0
        while log_nodes < enough and not state.is_terminal():
            actions = state.legal_actions()
            log_nodes += math.log(len(actions))
            state.apply_action(generator.choice(actions))
        probes.append(log_nodes)
    median = sorted(probes)[_NUM_PROBES // 2]
    if median > math.log(max_histories) + math.log(10):
        more = "more than " if median >= enough else "about "
        raise GameError(
            f"{name!r} is too large to enumerate: {seen:,} histories were seen, random probes "
            f"estimate {more}{math.exp(min(median, enough)):.0e} in all, and the limit is "
            f"{max_histories:,} (--max-histories)"
        )


class TreePolicy(policy.Policy):
    """Tabular policies of a tree as an OpenSpiel policy, for its algorithms and bots.

    Args:
        tree: the game.
        behaviours: action probabilities over sequences, `[S_p]`, of each player that it speaks for.
    """

    def __init__(self, tree: GameTree, behaviours: Mapping[int, np.ndarray]):
        game = load_openspiel(tree.name)
        super().__init__(game, sorted(behaviours))
        self._tree = tree
        self._behaviours = dict(behaviours)
        self._identify = _identities(game)[tree.identity]
        self._index = {
            p: {key: i for i, key in enumerate(tree.players[p].keys)} for p in behaviours
        }

    def action_probabilities(
        self, state: pyspiel.State, player_id: int | None = None
    ) -> dict[int, float]:
        """Probability of each legal action at `state`, for `player_id` or the player to move.

        Raises `KeyError` for a player it does not speak for, or a state that is not in the tree.
        """
        player = state.current_player() if player_id is None else player_id
        if player not in self._behaviours:
            raise KeyError(f"this policy is of players {self.player_ids}, not of player {player}")
        mine = self._tree.players[player]
        info_state = self._index[player][self._identify(state, player, self._parent(state, player))]
        start, stop = mine.first_sequence[info_state : info_state + 2]
        return {int(mine.action[s]): float(self._behaviours[player][s]) for s in range(start, stop)}

    def _parent(self, state: pyspiel.State, player: int) -> int:
        """The player's sequence on the way to `state`; only the `history` identity asks for it."""
        if self._tree.identity != "history":
            return 0
        mine, parent, before = self._tree.players[player], 0, self.game.new_initial_state()
        for action in state.history():
            if before.current_player() == player:
                info_state = self._index[player][self._identify(before, player, parent)]
                rank = int(mine.legal[info_state, :action].sum())
                parent = int(mine.first_sequence[info_state]) + rank
            before.apply_action(action)
        return parent
