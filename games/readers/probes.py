"""How large a game is, from random probes of its tree, long before all of it has been seen.

A probe goes down level by level and keeps, of all the nodes that it meets which look alike (the
same player to move, as many actions, as many moves of chance before), one at random to stand for
them: Chen 1992, "Heuristic sampling: a method for predicting the performance of tree searching
programs". Its estimate of the number of histories has no bias. Its variance is small where nodes
that look alike have subtrees of similar sizes. (One that follows a single path, Knuth 1975, sees a
fifth to a half of Liar's Dice, nearly always.)
"""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np

_BETS = np.logspace(-4, -0.05, 12)  # shares of the wealth; the tail decides which one grows fastest
_CERTAIN = math.log(1e9)
_FAR = 1e12  # times the limit: where a probe ends


class Probes:
    """Of a pyspiel `game`, which fits if it has at most `limit` histories."""

    def __init__(self, game: Any, limit: int):
        self._game, self._limit = game, limit
        self._generator = random.Random(0)
        self._log_wealth = np.zeros(len(_BETS))
        self._cut = False
        self.steps = 0
        """Nodes that all probes together have made."""
        self.estimates: list[float] = []
        """Histories by each probe; one that is cut short counts what it has come to."""

    def probe(self) -> None:
        """One more."""
        root = self._game.new_initial_state()
        nodes, level = 1.0, {} if root.is_terminal() else {(0,): (1.0, root)}
        while level and nodes <= _FAR * self._limit:
            below: dict[tuple[int, ...], tuple[float, Any]] = {}
            for (chances, *_), (weight, state) in level.items():
                actions = _actions(state)
                chances += state.is_chance_node()
                nodes += weight * len(actions)
                self.steps += len(actions)
                for action in actions:
                    child = state.child(action)
                    if not child.is_terminal():
                        kind = (chances, child.current_player(), len(child.legal_actions()))
                        total = weight + below.get(kind, (0.0, None))[0]
                        chosen = self._generator.random() * total < weight
                        below[kind] = (total, child if chosen else below[kind][1])
            level = below
        self._cut |= bool(level)
        self.note(nodes)

    def note(self, estimate: float) -> None:
        """What a probe came to."""
        self.estimates.append(estimate)
        self._log_wealth += np.log1p(_BETS * (estimate / self._limit - 1))

    @property
    def hopeless(self) -> bool:
        """Whether the game has more histories than the limit; wrong with probability 1e-9 at most,
        whatever the tail, and however often it is asked.

        Somebody who bets, before each probe, a share of his wealth on its exceeding the limit, at
        the fair odds of a mean that equals the limit, grows a thousand million times richer with
        that probability if the mean is no larger (Ville 1939; Waudby-Smith and Ramdas 2024,
        "Estimating means of bounded random variables by betting").
        """
        return np.logaddexp.reduce(self._log_wealth) - math.log(len(_BETS)) > _CERTAIN

    @property
    def mean(self) -> float:
        """The estimate of all probes together."""
        return math.fsum(self.estimates) / len(self.estimates)

    def sentence(self, seconds: float, num_bytes: float) -> str:
        """The estimate with two standard errors, and what enumerating would take at so many seconds
        and bytes a history."""
        error = 2 * float(np.std(self.estimates)) / math.sqrt(len(self.estimates))
        least = "more than " if self._cut else ""
        spread = "" if self._cut else f" ± {error / self.mean:.0%}"
        return (
            f"{len(self.estimates)} random probes estimate {least}{_short(self.mean)}{spread} in "
            f"all (about {_duration(self.mean * seconds)} and "
            f"{_short(self.mean * num_bytes / 2**30)} GiB)"
        )


def _actions(state: Any) -> list[int]:
    """What leads to a history of the tree: chance plays nothing of probability zero."""
    if state.is_chance_node():
        return [action for action, share in state.chance_outcomes() if share > 0]
    return state.legal_actions()


def _short(number: float) -> str:
    """Two digits: 42 million, 3.1e+12."""
    if number >= 1e9:
        return f"{number:.1e}"
    number, unit = (number / 1e6, " million") if number >= 1e6 else (number, "")
    return f"{float(f'{number:.2g}'):,g}{unit}"


def _duration(seconds: float) -> str:
    if seconds < 300:
        return f"{seconds:.0f} s"
    if seconds < 3 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{_short(seconds / 3600)} h"


# The rest runs as a script (`games.readers.trial`), which coverage does not know as this module.


def _try_out() -> None:  # pragma: no cover: see above
    """The process of `games.readers.trial`: loads the game that stdin names and plays as much of it
    as is seen before an enumeration first probes, and a probe. Ends with 0 also where OpenSpiel
    refuses to: that is said by who enumerates."""
    import resource
    import sys

    import pyspiel

    seconds, num_bytes = map(int, sys.argv[1:])
    name = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (num_bytes, num_bytes))
    try:
        game = pyspiel.load_game(name)
        if game.get_type().dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS:
            game = pyspiel.convert_to_turn_based(game)
        _walk(game, 1_000)
        Probes(game, 1 << 24).probe()
    except (MemoryError, TypeError):  # what pybind11 makes of having no memory for a list
        raise SystemExit(1) from None
    except Exception:  # of several kinds, by the game
        raise SystemExit(0) from None


def _walk(game: Any, num_histories: int) -> None:  # pragma: no cover: see above
    """Random play, with all that is asked of a player's decision."""
    kind, generator = game.get_type(), random.Random(0)
    state = game.new_initial_state()
    for _ in range(num_histories):
        if state.is_terminal():
            state.returns()
            state = game.new_initial_state()
            continue
        player = state.current_player()
        if player >= 0:
            for provided, ask in (
                (kind.provides_information_state_string, state.information_state_string),
                (kind.provides_information_state_tensor, state.information_state_tensor),
                (kind.provides_observation_tensor, state.observation_tensor),
            ):
                if provided:
                    ask(player)
        state = state.child(generator.choice(_actions(state)))


if __name__ == "__main__":  # pragma: no cover: see above
    _try_out()
