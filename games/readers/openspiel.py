"""Any OpenSpiel game, by its string, as a `GameTree`. The one place that reads pyspiel states."""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
import itertools
import math
import os
import re
import struct
import sys
import time
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyspiel
from open_spiel.python import policy

from games.errors import MAX_HISTORIES, GameError
from games.matrix import NormalForm
from games.player_tree import PlayerTree
from games.readers import cache as tree_cache
from games.readers import files, gambit, trial
from games.readers.probes import Probes
from games.texts import Texts
from games.tree import GameTree

OBSERVATIONS = ("information_state", "observation")
"""The tensors a policy can be given; the first that a game provides is the default."""

_PROBE_AFTER = 1_000  # histories seen before the size of the rest is first estimated
_PROBING = 0.03  # nodes made by probes per history seen: a few hundredths of the time,
_PROBING_DOUBTED = 0.3  # and where they say that the game is too large
_PEAK_BYTES, _PEAK_BYTES_INFO_STATE = 100, 220  # while enumerating, per history and info state
_OBSERVED_AT_ONCE = 1 << 22  # bytes of observations that are held as float32 before they are packed


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
        files.check_ending(name)
        near = difflib.get_close_matches(short_name, known, n=3, cutoff=0.5)
        near += [
            other for other in known if short_name and short_name in other and other not in near
        ]
        hint = f"did you mean {' or '.join(near[:3])}?" if near else "`psro games` lists some"
        raise GameError(f"no game is called {short_name!r}; {hint}")
    if "(" in name:
        trial.check(name)
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
        text = gambit.openspiel_efg(files.read_efg(name))
        try:
            with _silent_stderr():
                return pyspiel.load_efg_game(text)
        except Exception as error:
            raise GameError(f"OpenSpiel cannot load {name!r}: {_sentence(error)}") from None
    game = _normal_form(name, MAX_HISTORIES)
    game.check_size()
    payoffs = [game.payoffs_of(player) for player in range(game.num_players)]
    return pyspiel.convert_to_turn_based(pyspiel.create_tensor_game(payoffs))


def _normal_form(name: str, max_histories: int) -> NormalForm:
    table = files.read_payoffs(name)
    return NormalForm(
        table.payoffs,
        name=name,
        max_histories=max_histories,
        player_names=table.player_names,
        action_names=table.action_names,
    )


def load(
    name: str,
    *,
    observation: str | None = None,
    max_histories: int = MAX_HISTORIES,
    cache: str | os.PathLike | None = None,
) -> GameTree:
    """A game by its name: an OpenSpiel game string, or a file (`games.readers.files` tells which).

    A file of payoffs becomes a `NormalForm`, whose terminals stay implicit, and which is therefore
    not refused for its size here; everything else is enumerated, see `compile_tree`.

    Args:
        name: `"leduc_poker(players=3)"`, `"poker.efg"`, `"matrix.csv"`.
        observation: the policy's input, one of `OBSERVATIONS`; None takes the first provided.
        max_histories: refuse to enumerate a game with more histories.
        cache: folder of compiled trees, as in `compile_tree`.

    Raises:
        GameError: the game is unknown, too large, of imperfect recall, or provides no such tensor,
            or the file is not what its ending says.
    """
    if max_histories < 1:
        raise GameError(f"max_histories = {max_histories} must be at least 1")
    if files.is_file(name) and not files.is_extensive(name):
        if observation not in (None, *OBSERVATIONS):
            raise GameError(
                f"unknown observation {observation!r}; known: {', '.join(OBSERVATIONS)}"
            )
        return _normal_form(name, max_histories)
    tree = compile_tree(name, observation=observation, max_histories=max_histories, cache=cache)
    return gambit.labelled(tree, files.read_efg(name)) if files.is_file(name) else tree


def compile_tree(
    name: str,
    *,
    observation: str | None = None,
    max_histories: int = MAX_HISTORIES,
    cache: str | os.PathLike | None = None,
) -> GameTree:
    """Enumerates an OpenSpiel game into a `GameTree`, or takes it from a cache on disk.

    Info states are told apart by OpenSpiel's information state string; where that breaks perfect
    recall, by its tensor; in a game that has neither, by the player's action-observation history.
    (In one whose information states forget, a history would be another game than OpenSpiel's.)

    Args:
        name: an OpenSpiel game string, parameters included: `"leduc_poker(players=3)"`.
        observation: the policy's input, one of `OBSERVATIONS`; None takes the first provided.
        max_histories: refuse a game with more histories (chance nodes and terminals included).
        cache: folder of compiled trees, made where there is none; `""` for no cache, None for what
            the environment variable `PSRO_TREE_CACHE` names, if it does. What was written by
            another version of OpenSpiel or is damaged is not used, what is read from a file or
            made in Python outside OpenSpiel is not kept.

    Raises:
        GameError: the game is unknown, too large, of imperfect recall, or provides no such tensor.
    """
    game = load_openspiel(name)
    observation, observe = _observation(name, game, observation)
    lasting = not files.is_file(name) and _stays_the_same(game)
    folder = tree_cache.folder(cache) if lasting else None
    key = {
        "game": name,
        "observation": observation,
        "open_spiel": importlib.metadata.version("open_spiel"),
    }
    tree = tree_cache.read(folder, key) if folder else None
    if tree is not None and tree.num_histories <= max_histories:
        return tree
    started = time.perf_counter()
    tree = _by_any_identity(name, game, observation, observe, max_histories)
    if folder and time.perf_counter() - started >= tree_cache.LEAST_SECONDS:
        tree_cache.write(folder, key, tree)
    return tree


def _stays_the_same(game: pyspiel.Game) -> bool:
    """Whether its string and OpenSpiel's version say what game it is."""
    made_here = type(game).__module__.split(".")[0] not in ("pyspiel", "open_spiel")
    parameters = [each for each in game.get_parameters().values() if isinstance(each, str)]
    return not made_here and not any(each and os.path.exists(each) for each in parameters)


def _by_any_identity(
    name: str,
    game: pyspiel.Game,
    observation: str,
    observe: Callable[[Any, int], list[float]],
    max_histories: int,
) -> GameTree:
    """The tree by the first identity that keeps perfect recall."""
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
            "f", state.information_state_tensor(player)
        ).tobytes()
    if kind.provides_observation_string:
        identities["history"] = lambda state, player, parent: (
            parent,
            state.observation_string(player),
        )
    elif kind.provides_observation_tensor:
        identities["history"] = lambda state, player, parent: (
            parent,
            array("f", state.observation_tensor(player)).tobytes(),
        )
    return identities


class _InfoStates:
    """One player's info states in the order in which they are met; a parent is met before."""

    def __init__(self, size: int):
        self.index: dict[Hashable, int] = {}
        self.names: list[str] = []
        self.parent = array("i")
        self.depth = array("i")
        self.first_sequence = array("i")
        self.owner = array("i", [-1])  # the info state of each sequence
        self.legal: list[list[int]] = []  # equal ones are one list
        self._legal_sets: dict[tuple[int, ...], list[int]] = {}
        self._floats = struct.Struct(f"{size}f").pack  # in two thirds of the time of `array`
        self._observation = bytearray()
        self._observations: list[np.ndarray] = []  # what `_observation` held before

    def add(
        self, key: Hashable, name: str | None, observation: list[float], legal: list[int],
        parent: int,
    ) -> int:  # fmt: skip
        """The number of a new info state; `name` is None where it is the key."""
        number = len(self.parent)
        self.index[key] = number
        if name is not None:
            self.names.append(name)
        self._observation += self._floats(*observation)
        if len(self._observation) >= _OBSERVED_AT_ONCE:
            self._pack_observation()
        self.legal.append(self._legal_sets.setdefault(tuple(legal), list(legal)))
        self.parent.append(parent)
        before = self.owner[parent]
        self.depth.append(0 if before < 0 else self.depth[before] + 1)
        self.first_sequence.append(len(self.owner))
        self.owner.fromlist([number] * len(legal))
        return number

    def name(self, number: int) -> str:
        return self.names[number] if self.names else list(self.index)[number]

    def _pack_observation(self) -> None:
        """As int8 where that loses nothing."""
        seen = np.frombuffer(self._observation, np.float32)
        if not seen.size or (np.abs(seen).max() <= 127 and (seen == np.rint(seen)).all()):
            seen = seen.astype(np.int8)
        self._observations.append(seen)
        self._observation = bytearray()

    def finish(
        self, num_actions: int, size: int, identity: str
    ) -> tuple[PlayerTree, np.ndarray, np.ndarray]:
        """The `PlayerTree`, and the new number of each info state and of each sequence; to be
        called once, because the index is let go."""
        keys = list(self.index)
        self.index.clear()
        depth = np.asarray(self.depth)
        order = np.argsort(depth, kind="stable").astype(np.int32)
        new_info_state = np.empty(len(order), np.int32)
        new_info_state[order] = np.arange(len(order), dtype=np.int32)
        sets = list(self._legal_sets.values())
        number_of = {id(actions): number for number, actions in enumerate(sets)}
        sizes = np.fromiter(map(len, sets), np.int32, len(sets))
        set_of = np.fromiter((number_of[id(legal)] for legal in self.legal), np.int32, len(order))[
            order
        ]
        counts = sizes[set_of]
        first = np.concatenate([[1], 1 + np.cumsum(counts)]).astype(np.int32)
        old_first = np.asarray(self.first_sequence)[order]
        new_sequence = np.zeros(len(self.owner), np.int32)
        offsets = np.arange(first[-1] - 1, dtype=np.int32) - np.repeat(first[:-1] - 1, counts)
        new_sequence[np.repeat(old_first, counts) + offsets] = np.arange(1, first[-1])
        info_state = np.repeat(np.arange(len(order), dtype=np.int32), counts)
        all_actions = np.fromiter(itertools.chain(*sets), np.int32, sizes.sum())
        set_start = np.cumsum(sizes) - sizes
        action = all_actions[np.repeat(set_start[set_of], counts) + offsets]
        levels = int(depth.max()) + 1 if len(depth) else 0
        parent = new_sequence[np.asarray(self.parent)[order]]
        names = Texts.of(map((self.names or keys).__getitem__, order), str)
        if identity == "string":
            keys = names
        elif identity == "tensor":
            keys = Texts.of(map(keys.__getitem__, order), bytes)
        else:
            keys = tuple((int(parent[new]), keys[old][1]) for new, old in enumerate(order))
        self._pack_observation()
        observation = np.concatenate(self._observations).reshape(len(order), size)
        return (
            PlayerTree(
                num_actions=num_actions,
                observation=observation[order],
                parent=parent,
                first_sequence=first,
                info_state=np.concatenate([[-1], info_state]).astype(np.int32),
                action=np.concatenate([[-1], action]).astype(np.int32),
                level_start=np.searchsorted(depth[order], np.arange(levels + 1)).astype(np.int32),
                names=names,
                keys=keys,
            ),
            new_info_state,
            new_sequence,
        )


def _enumerate(
    name: str,
    game: pyspiel.Game,
    observation: str,
    observe: Callable[[Any, int], list[float]],
    identity: str,
    identify: Callable[[Any, int, int], Hashable],
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
    players = [_InfoStates(math.prod(shape)) for _ in range(num_players)]
    # Of every terminal and decision: the slot that it comes from and chance's reach.
    terminal_slot, terminal_reach, returns, sequence = _arrays("iddi")
    decision_slot, decision_reach, decision_player, decision_info_state = _arrays("idbi")
    by_string = identity == "string"
    num_slots, num_histories, max_length = 1, 0, 0
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    set_by = "--max-histories" if max_histories < memory // _PEAK_BYTES else "memory"
    max_histories = min(max_histories, memory // _PEAK_BYTES)
    probes = Probes(game, max_histories)
    started, check = time.perf_counter(), min(_PROBE_AFTER, max_histories + 1)

    at = [0] * num_players  # every player's last sequence on the way to where we are
    # That node: what is left to play there, the player to move, its sequence before and the first
    # of its own, the first slot, chance's reach and the number of decisions; above it, `path`.
    state, actions, player, parent, first, first_slot, here, length = None, [], -1, 0, 0, 0, 1.0, 0
    path: list[tuple] = []
    child, slot, reach = game.new_initial_state(), 0, 1.0
    while True:
        num_histories += 1
        if num_histories == check:
            spent = time.perf_counter() - started
            probes.probe()
            share = _PROBING if probes.mean <= max_histories else _PROBING_DOUBTED
            while probes.steps < share * num_histories and not probes.hopeless:
                probes.probe()
            started = time.perf_counter() - spent  # the probes' own time does not count
            seen = sum(len(each.index) for each in players) / num_histories
            num_bytes = _PEAK_BYTES + seen * (_PEAK_BYTES_INFO_STATE + math.prod(shape))
            if 2 * num_histories * num_bytes > memory:  # at the next check it would be too late
                raise GameError(
                    f"{name!r} is too large for {memory / 2**30:.0f} GiB of memory: "
                    f"{num_histories:,} histories were seen, and "
                    f"{probes.sentence(spent / num_histories, num_bytes)}"
                )
            if num_histories > max_histories or probes.hopeless:
                raise GameError(
                    f"{name!r} is too large to enumerate: {num_histories:,} histories were seen, "
                    f"{probes.sentence(spent / num_histories, num_bytes)}, and the limit is "
                    f"{max_histories:,} ({set_by})"
                )
            check = min(2 * check, max_histories + 1)
        mover = child.current_player()
        if mover == terminal:
            terminal_slot.append(slot)
            terminal_reach.append(reach)
            returns.fromlist(child.returns())
            sequence.fromlist(at)
        else:
            path.append((state, actions, player, parent, first, first_slot, here, length))
            state, player, here = child, mover, reach
            if player >= 0:
                mine, parent, actions = players[player], at[player], state.legal_actions()
                if by_string:
                    key = state.information_state_string(player)
                else:
                    key = identify(state, player, parent)
                number = mine.index.get(key)
                if number is None:
                    label = None if by_string else describe(state, player)
                    number = mine.add(key, label, observe(state, player), actions, parent)
                elif mine.parent[number] != parent:
                    raise _ImperfectRecall(mine.name(number), "has more than one parent sequence")
                elif mine.legal[number] != actions:
                    raise _ImperfectRecall(mine.name(number), "has differing legal actions")
                decision_slot.append(slot)
                decision_reach.append(here)
                decision_player.append(player)
                decision_info_state.append(number)
                first, first_slot = mine.first_sequence[number], num_slots
                num_slots += len(actions)
                length += 1
                if length > max_length:
                    max_length = length
            elif player == chance:
                actions = [outcome for outcome in state.chance_outcomes() if outcome[1] > 0]
                first_slot = slot
            else:
                raise GameError(f"{name!r} has a node of kind {player}, which no tree can hold")

        while not actions:  # every child was seen: back to the node above
            if player >= 0:
                at[player] = parent
            if not path:
                break
            state, actions, player, parent, first, first_slot, here, length = path.pop()
        if not actions:
            break
        if player >= 0:
            action = actions.pop()
            rank = len(actions)
            at[player] = first + rank
            slot, reach = first_slot + rank, here
        else:
            action, share = actions.pop()
            slot, reach = first_slot, here * share
        if actions:
            child = state.child(action)
        else:
            child = state  # nobody needs the state itself any more
            child.apply_action(action)

    seats = np.asarray(decision_player).astype(np.int32)
    info_states = np.asarray(decision_info_state).copy()
    sequences = np.asarray(sequence).reshape(-1, num_players).copy()
    del decision_player, decision_info_state, sequence
    finished = []
    for seat in range(num_players):
        tree, new_info_state, new_sequence = players.pop(0).finish(
            game.num_distinct_actions(), math.prod(shape), identity
        )
        info_states[seats == seat] = new_info_state[info_states[seats == seat]]
        sequences[:, seat] = new_sequence[sequences[:, seat]]
        finished.append(tree)
    num_children = np.zeros(len(seats), np.int32)
    for seat, tree in enumerate(finished):
        num_children[seats == seat] = np.diff(tree.first_sequence)[info_states[seats == seat]]
    first_slot = (1 + np.cumsum(num_children) - num_children).astype(np.int32)
    # Decisions and terminals, decisions first, are the outcomes of the slots they come from.
    slots = np.concatenate([np.asarray(decision_slot), np.asarray(terminal_slot)])
    reach = np.concatenate([np.asarray(decision_reach), np.asarray(terminal_reach)])
    del decision_slot, terminal_slot, decision_reach
    owner = np.repeat(np.arange(len(seats), dtype=np.int32), num_children)  # of slot s + 1
    share = reach.copy()
    later = np.flatnonzero(slots)  # slot 0 has no owner
    share[later] /= reach[owner[slots[later] - 1]]
    del reach, owner, later
    order = np.argsort(slots, kind="stable").astype(np.int32)
    first_outcome = np.zeros(num_slots + 1, np.int32)
    np.cumsum(np.bincount(slots, minlength=num_slots), out=first_outcome[1:])
    return GameTree(
        name=name,
        observation_kind=observation,
        identity=identity,
        num_actions=game.num_distinct_actions(),
        num_histories=num_histories,
        max_length=max_length,
        players=tuple(finished),
        chance=np.asarray(terminal_reach).copy(),
        terminal_returns=np.asarray(returns).reshape(-1, num_players).copy(),
        sequence=sequences,
        decision_player=seats,
        decision_info_state=info_states,
        first_slot=first_slot,
        first_outcome=first_outcome,
        outcome_node=order,
        outcome_probability=share[order],
    )


def _arrays(types: str) -> list[array]:
    return [array(each) for each in types]


class InfoStateIndex:
    """Where OpenSpiel's states are in a tree, for some of its players.

    A state is one of `load_openspiel(tree.name)`; or of the same game before its simultaneous moves
    became turns, where everybody who moves at once is asked as if it were that player's turn.
    """

    def __init__(self, tree: GameTree, players: Iterable[int]):
        self.game = load_openspiel(tree.name)
        self._tree = tree
        self._identify = _identities(self.game)[tree.identity]
        self._index = {p: {key: i for i, key in enumerate(tree.players[p].keys)} for p in players}

    def info_state(self, state: pyspiel.State, player: int) -> int:
        """The number of `player`'s info state; raises `KeyError` where the tree has no such one."""
        if state.is_simultaneous_node():
            state = self._in_turn(state, player)
        # Only the `history` identity asks for the parent.
        parent = self.sequence(state, player) if self._tree.identity == "history" else 0
        return self._index[player][self._identify(state, player, parent)]

    def sequence(self, state: pyspiel.State, player: int) -> int:
        """`player`'s last sequence on the way to `state`; 0 before its first decision."""
        mine, last, before = self._tree.players[player], 0, self.game.new_initial_state()
        for action in state.history():
            if before.current_player() == player:
                info_state = self._index[player][self._identify(before, player, last)]
                rank = int(np.searchsorted(mine.actions(info_state), action))
                last = int(mine.first_sequence[info_state]) + rank
            before.apply_action(action)
        return last

    def _in_turn(self, state: pyspiel.State, player: int) -> pyspiel.State:
        """`player`'s turn at a simultaneous move. What those before it choose is hidden from it, so
        that any of their actions will do."""
        turn = self.game.new_initial_state()
        for action in state.history():
            turn.apply_action(action)
        while turn.current_player() != player:
            turn.apply_action(turn.legal_actions()[0])
        return turn


class TreePolicy(policy.Policy):
    """Tabular policies of a tree as an OpenSpiel policy, for its algorithms and bots.

    Args:
        tree: the game.
        behaviours: action probabilities over sequences, `[S_p]`, of each player that it speaks for.
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

        Raises `KeyError` for a player it does not speak for, or a state that is not in the tree.
        """
        player = state.current_player() if player_id is None else player_id
        if player not in self._behaviours:
            raise KeyError(f"this policy is of players {self.player_ids}, not of player {player}")
        mine = self._tree.players[player]
        info_state = self._index.info_state(state, player)
        start, stop = mine.first_sequence[info_state : info_state + 2]
        return {int(mine.action[s]): float(self._behaviours[player][s]) for s in range(start, stop)}


def action_names(tree: GameTree) -> list[list[str]]:
    """What every action of every player is called, `[P][S_p]` ("" for the empty sequence): in the
    game's file, where it has labels; else by OpenSpiel, in the first history seen in each info
    state. Then all histories are walked, so it is for games that are small enough to read about."""
    if all(player.action_names is not None for player in tree.players):
        return [list(player.action_names) for player in tree.players]
    names = [[""] * player.num_sequences for player in tree.players]
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
            mine, info_state = tree.players[player], index.info_state(state, player)
            for sequence, action in enumerate(legal, int(mine.first_sequence[info_state])):
                names[player][sequence] = names[player][sequence] or state.action_to_string(action)
        waiting += [state.child(action) for action in reversed(legal)]
    return names
