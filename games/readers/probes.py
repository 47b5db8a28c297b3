"""The size of a game, estimated from random probes of its tree before all of it has been visited.

A probe goes down the tree level by level. Nodes look alike if they have the same player to move,
the same number of actions and the same number of chance moves before them. Of all nodes on a level
that look alike, the probe keeps one at random, which stands for them: Chen 1992, "Heuristic
sampling: a method for predicting the performance of tree searching programs". Its estimate of the
number of histories has no bias. Its variance is small if nodes that look alike have subtrees of
similar sizes. (A probe along a single path, Knuth 1975, nearly always sees only a fifth to a half
of Liar's Dice.)
"""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np

_BETS = np.logspace(-4, -0.05, 12)  # shares of the wealth; the best one depends on the tail
_CERTAIN = math.log(1e9)
_FAR = 1e12  # a probe ends at this many times the limit


class Probes:
    """Probes of a pyspiel `game`. The game fits if it has at most `limit` histories."""

    def __init__(self, game: Any, limit: int):
        self._game, self._limit = game, limit
        self._generator = random.Random(0)
        self._log_wealth = np.zeros(len(_BETS))
        self._cut = False
        self.steps = 0
        """The number of nodes that all probes together have made."""
        self.estimates: list[float] = []
        """Each probe's number of histories. A probe that is cut short gives the number that it had
        reached."""

    def probe(self) -> None:
        """Makes one more probe."""
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
        """Records the estimate of a probe."""
        self.estimates.append(estimate)
        self._log_wealth += np.log1p(_BETS * (estimate / self._limit - 1))

    @property
    def hopeless(self) -> bool:
        """Whether the game has more histories than the limit. The answer is wrong with probability
        1e-9 at most, for every tail, and however often it is asked.

        Suppose that before each probe a gambler bets a share of the wealth that the estimate
        exceeds the limit. The odds are fair if the mean equals the limit. If the mean is no larger,
        the wealth grows a thousand million times with at most that probability (Ville 1939;
        Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting").
        """
        return np.logaddexp.reduce(self._log_wealth) - math.log(len(_BETS)) > _CERTAIN

    @property
    def mean(self) -> float:
        """The mean estimate of all probes."""
        return math.fsum(self.estimates) / len(self.estimates)

    def sentence(self, seconds: float, num_bytes: float) -> str:
        """The estimate with two standard errors, and the time and memory that enumerating would
        take, from seconds and bytes per history."""
        error = 2 * float(np.std(self.estimates)) / math.sqrt(len(self.estimates))
        least = "more than " if self._cut else ""
        spread = "" if self._cut else f" ± {error / self.mean:.0%}"
        return (
            f"{len(self.estimates)} random probes estimate {least}{_short(self.mean)}{spread} in "
            f"all (about {_duration(self.mean * seconds)} and "
            f"{_short(self.mean * num_bytes / 2**30)} GiB)"
        )


def _actions(state: Any) -> list[int]:
    """Actions that lead to a history of the tree. Chance's actions of probability zero do not."""
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


# The rest runs as a script (`games.readers.trial`). Coverage does not see that it is this module.


def _try_out() -> None:  # pragma: no cover: see above
    """The process of `games.readers.trial`. It loads the game that stdin names. It plays as many
    histories as an enumeration visits before its first probe, and then makes one probe if it is
    told to. It also exits with 0 if OpenSpiel refuses the game, because its caller reports that."""
    import resource
    import sys

    import pyspiel

    seconds, num_bytes = map(int, sys.argv[1:3])
    name = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (num_bytes, num_bytes))
    try:
        game = pyspiel.load_game(name)
        if game.get_type().dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS:
            game = pyspiel.convert_to_turn_based(game)
        _walk(game, 1_000)
        if sys.argv[3:] == ["probe"]:
            Probes(game, 1 << 24).probe()
    except (MemoryError, TypeError):  # pybind11's error if there is no memory for a list
        raise SystemExit(1) from None
    except Exception:  # of several kinds, depending on the game
        raise SystemExit(0) from None


def _walk(game: Any, num_histories: int) -> None:  # pragma: no cover: see above
    """Plays at random, and asks at each player's decision everything that an enumeration asks."""
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
