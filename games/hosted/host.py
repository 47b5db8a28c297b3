"""The host's side of a hosted game: many episodes at once, each a function of its history."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from games.errors import GameError, sentence
from games.hosted.chance import all_mixed, mixed

ENDED, CUT = -1, -2
"""The player to move when nobody is: the rules or a limit of length have ended the episode."""
HORIZON = 1_000
"""Decisions of all players together after which an episode is cut off, by default."""


class Episode(Protocol):
    """One episode of a simulator, which changes with every move."""

    player: int
    """The seat to move, after chance; or `ENDED` or `CUT`."""

    def play(self, action: int, digest: int) -> None:
        """The player's move, then chance. All that is random is a function of the digest (see
        `games.hosted.chance`) and of what came before."""

    def legal_actions(self) -> list[int]:
        """What the player may do, each once."""

    def observe(self, vector: np.ndarray) -> None:
        """Writes what the player sees, float32 `[observation_size]`."""

    def returns(self) -> Sequence[float]:
        """What each player has earned so far."""


class Simulator(Protocol):
    """Rules that somebody else's program plays. The attributes are those of `games.game.Game`."""

    name: str
    num_players: int
    num_actions: int
    observation_size: int
    max_length: int
    max_return: float
    is_random: bool
    """Whether anything after the first decision is random."""
    pays_at_steps: bool
    """Whether `returns` means anything before an episode has ended."""

    def begin(self, digest: int) -> Episode:
        """A new episode at its first decision. What is random is a function of the digest."""


class Host:
    """Plays the episodes of a batch one after another.

    Its answers depend on its arguments alone. It remembers where each history has led, so that the
    next move is one move; a history that it does not remember is played again from the start.
    (A process that resumes begins with no memory; a caller may leave a move out of its states.)

    Args:
        simulator: the rules.
        action_bits: how many low bits of a word are the action.
    """

    def __init__(self, simulator: Simulator, action_bits: int):
        self._simulator = simulator
        self._action = (1 << action_bits) - 1
        self._episodes: dict[int, list[Episode]] = {}
        """By digest, the oldest first. Several environments may be at one history."""
        self._most_rows = 0
        self._lock = threading.Lock()
        self._local = threading.local()

    def begin(self, where: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        """New episodes where `where [...]`; other rows of the results have no meaning.

        Args:
            seeds: the digests of no decisions, uint32 `[..., 2]`.

        Returns:
            As `step`, without the last two.
        """
        shape, rows = where.shape, np.flatnonzero(where).tolist()
        digests = whole(seeds)
        table = self._table(where.size)
        with self._playing():
            for row in rows:
                episode = self._simulator.begin(digest := int(digests[row]))
                self._note(table, row, digest, episode, ends=False)
        return table.results(shape)

    def step(
        self,
        where: np.ndarray,
        seeds: np.ndarray,
        digests: np.ndarray,
        words: np.ndarray,
        counts: np.ndarray,
        histories: np.ndarray,
    ) -> tuple[np.ndarray, ...]:
        """One decision where `where [...]`; other rows of the results have no meaning.

        Args:
            seeds, digests: of the episode and of its history, uint32 `[..., 2]`.
            words: the actions, each below the random bits that came with it, uint32 `[...]`.
            counts: decisions before this one, int32 `[...]`.
            histories: their words, uint32 `[..., max_length]`.

        Returns:
            player int32 `[...]`, whether the rules have ended the episode bool `[...]`, legal
            actions bool `[..., A]`, observation float32 `[..., O]`, rewards float32 `[..., P]`, and
            the new digests uint32 `[..., 2]`.
        """
        shape, rows = where.shape, np.flatnonzero(where).tolist()
        seeds, before, words = whole(seeds), whole(digests), words.reshape(-1)
        after = mixed(before, words)
        histories = histories.reshape(len(words), -1)
        known, next_known = before.tolist(), after.tolist()
        chosen, numbers = (words & np.uint32(self._action)).tolist(), counts.reshape(-1).tolist()
        pays, last = self._simulator.pays_at_steps, self._simulator.max_length - 1
        rewards = np.zeros((len(words), self._simulator.num_players), np.float32)
        table = self._table(len(words))
        with self._playing():
            for row in rows:
                episode = self._take(known[row])
                if episode is None:
                    episode = self._replay(int(seeds[row]), histories[row, : numbers[row]])
                earlier = np.array(episode.returns()) if pays else 0.0
                episode.play(chosen[row], next_known[row])
                if pays or episode.player < 0:
                    rewards[row] = np.array(episode.returns()) - earlier
                self._note(table, row, next_known[row], episode, ends=numbers[row] == last)
        digests = after.view(np.uint32).reshape(*shape, 2)
        return *table.results(shape), rewards.reshape(*shape, -1), digests

    def replay(self, seed: int, words: np.ndarray) -> Episode:
        """An episode of the caller's own, at a history."""
        with self._playing():
            return self._replay(seed, words)

    def forget(self) -> None:
        """Forgets all histories. Nothing but the time that the next step takes depends on it."""
        with self._lock:
            self._episodes.clear()

    @contextlib.contextmanager
    def _playing(self) -> Iterator[None]:
        """One thread at a time. What a simulator raises becomes a `GameError`."""
        try:
            with self._lock:
                yield
        except Exception as error:  # of any kind, by the game
            raise GameError(
                f"{self._simulator.name!r} failed during play: {sentence(error)}"
            ) from error

    def _replay(self, seed: int, words: np.ndarray) -> Episode:
        episode = self._simulator.begin(seed)
        for word, digest in zip(words.tolist(), all_mixed(seed, words), strict=True):
            episode.play(word & self._action, digest)
        return episode

    def _take(self, digest: int) -> Episode | None:
        there = self._episodes.get(digest)
        if there is None:
            return None
        if len(there) == 1:
            del self._episodes[digest]
        return there.pop()

    def _note(self, table: _Table, row: int, digest: int, episode: Episode, ends: bool) -> None:
        """Where the episode is, for the program; and for the next step, if there can be one."""
        table.note(row, episode, ends)
        if not ends and episode.player >= 0:
            self._episodes.setdefault(digest, []).append(episode)

    def _trim(self, num_rows: int) -> None:
        """Forgets what callers have left that went elsewhere."""
        self._most_rows = max(self._most_rows, num_rows)
        with self._lock:
            while len(self._episodes) > 4 * self._most_rows:
                del self._episodes[next(iter(self._episodes))]

    def _table(self, num_rows: int) -> _Table:
        """To fill in. Its memory is a thread's own until that thread's next call: by then what it
        returned has been copied."""
        self._trim(num_rows)
        memories = vars(self._local).setdefault("memories", {})
        if num_rows not in memories:
            memories[num_rows] = np.zeros((num_rows, self._simulator.observation_size), np.float32)
        return _Table(memories[num_rows], self._simulator.num_actions)


class _Table:
    """What a batch of episodes shows."""

    def __init__(self, observation: np.ndarray, num_actions: int):
        num_rows = len(observation)
        self._player = np.zeros(num_rows, np.int32)
        self._terminal = np.zeros(num_rows, bool)
        self._observation = observation
        self._num_actions = num_actions
        self._legal: list[int] = []
        self._legal_rows: list[int] = []
        self._legal_counts: list[int] = []

    def note(self, row: int, episode: Episode, is_cut: bool) -> None:
        """`is_cut`: the episode ends here, whatever the rules."""
        player = episode.player
        if player < 0 or is_cut:
            self._terminal[row] = player == ENDED
            self._observation[row] = 0
            return
        self._player[row] = player
        actions = episode.legal_actions()
        self._legal += actions
        self._legal_rows.append(row)
        self._legal_counts.append(len(actions))
        episode.observe(self._observation[row])

    def results(self, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        """player, terminal, legal and observation, each with these leading axes."""
        legal = np.zeros((len(self._player), self._num_actions), bool)
        legal[np.repeat(self._legal_rows, self._legal_counts).astype(int), self._legal] = True
        flat = self._player, self._terminal, legal, self._observation
        return tuple(array.reshape(shape + array.shape[1:]) for array in flat)


def whole(digests: np.ndarray) -> np.ndarray:
    """uint32 `[..., 2]` as uint64 `[N]`."""
    return np.ascontiguousarray(digests).reshape(-1).view(np.uint64)
