"""What moves for an entrant in one seat. A seat is told when an episode begins, and asked at each
position where it is to move; it answers with a legal action, or raises `Forfeit`."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from games.printing import printable
from games.tree import GameTree
from psro.measure.arena.forfeits import Forfeit
from psro.measure.arena.guest import Observation
from psro.measure.arena.positions import Position
from psro.measure.arena.process import Guest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """The beginning of an episode: its number, and the seeds of what a seat draws in it."""

    episode: int
    seeds: tuple[int, ...]


class Seat(Protocol):
    def begin(self, start: Start) -> None: ...
    def act(self, position: Position) -> int: ...


class UniformSeat:
    """Every legal action with equal probability."""

    def begin(self, start: Start) -> None:
        self._rng = np.random.default_rng(start.seeds)

    def act(self, position: Position) -> int:
        return position.legal[int(self._rng.random() * len(position.legal))]


class TableSeat:
    """A player's behaviour `[S]` in a tree."""

    def __init__(self, tree: GameTree, player: int, behaviour: np.ndarray):
        self._first = tree.players[player].first_sequence
        self._cumulative = np.concatenate([[0.0], np.cumsum(behaviour[1:])])

    def begin(self, start: Start) -> None:
        self._rng = np.random.default_rng(start.seeds)

    def act(self, position: Position) -> int:
        first = self._first[position.info_state] - 1
        last = first + len(position.legal)
        low, high = self._cumulative[first], self._cumulative[last]
        at = low + self._rng.random() * (high - low)
        rank = int(np.searchsorted(self._cumulative[first + 1 : last], at, "right"))
        return position.legal[rank]


class FunctionSeat:
    """A function of this process. Its errors are forfeits; nothing limits its time."""

    def __init__(self, act: Callable[..., Any], player: int, restart: Callable[[], Any] | None):
        self._act, self._player, self._restart = act, player, restart

    def begin(self, start: Start) -> None:
        self._rng = np.random.default_rng(start.seeds)
        if self._restart is not None:
            _trying(self._restart)

    def act(self, position: Position) -> int:
        seen = position.seen
        observation = Observation(seen.observation.copy(), seen.text, seen.names)
        said = _trying(self._act, observation, list(position.legal), self._player, self._rng)
        return _legal(said, position.legal)


class PolicySeat:
    """An OpenSpiel policy of this process, where there is no table of it."""

    def __init__(self, probabilities: Callable[[Any], dict[int, float]]):
        self._probabilities = probabilities

    def begin(self, start: Start) -> None:
        self._rng = np.random.default_rng(start.seeds)

    def act(self, position: Position) -> int:
        told = _trying(self._probabilities, position.state)
        weights = np.array([max(float(told.get(action, 0.0)), 0.0) for action in position.legal])
        if not 0 < weights.sum() < np.inf:
            raise Forfeit("illegal", "it gives no legal action a probability")
        return int(self._rng.choice(position.legal, p=weights / weights.sum()))


class BotSeat:
    """An OpenSpiel bot of this process."""

    def __init__(self, bot: Any):
        self._bot = bot

    def begin(self, start: Start) -> None:
        _trying(self._bot.restart)

    def act(self, position: Position) -> int:
        return _legal(_trying(self._bot.step, position.state), position.legal)


class GuestSeat:
    """An agent in a process of its own."""

    def __init__(self, guest: Guest, player: int):
        self.guest, self._player = guest, player

    def begin(self, start: Start) -> None:
        self._start = start

    def ask(self, position: Position) -> Guest:
        """Asks the agent, which is returned; `act` waits for its answer."""
        self.guest.ready()
        request: dict[str, Any] = {
            "player": self._player,
            "episode": self._start.episode,
            "seed": self._start.seeds,
        }
        if self.guest.kind == "Function":
            request |= self._view(position)
        else:
            request["history"] = position.state.history()
        self.guest.ask(request)
        return self.guest

    def act(self, position: Position) -> int:
        return self.guest.answer(position.legal)

    def _view(self, position: Position) -> dict[str, Any]:
        """What the player sees. A process that has seen a position before is told its number."""
        number = position.number
        if number in self.guest.sent:
            return {"view": number}
        if number >= 0:
            self.guest.sent.add(number)
        seen = position.seen
        return {
            "view": number,
            "observation": seen.observation.tolist(),
            "text": seen.text,
            "names": list(seen.names),
            "legal": list(position.legal),
        }


def _trying(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls what a user has given; any error is a forfeit."""
    try:
        return function(*arguments)
    except MemoryError:
        raise Forfeit("memory") from None
    except Exception as error:
        words = printable(f"{type(error).__name__}: {error}"[:300])
        raise Forfeit("crash", words) from error


def _legal(said: Any, legal: Sequence[int]) -> int:
    try:
        action = operator.index(said)
    except TypeError:
        action = None
    if action is None or action not in legal:
        listed = ", ".join(map(str, legal[:8]))
        raise Forfeit("illegal", printable(f"played {repr(said)[:80]}; legal were {listed}"))
    return action
