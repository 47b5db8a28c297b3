"""How large a game is, from random walks down its tree, long before all of it has been seen.

A walk that meets b_1, b_2, ... children, choosing one of them uniformly each time, estimates
1 + b_1 + b_1 b_2 + ... histories without bias (Knuth 1975, "Estimating the efficiency of backtrack
programs"), but with a heavy tail: most walks see too few, and some many times too many. So a mean
and its standard error are good enough to tell a user, and not to refuse a game.
"""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np

_BETS = np.logspace(-4, -0.05, 12)  # shares of the wealth; the tail decides which one grows fastest
_CERTAIN = math.log(1e9)
_FAR = 1e3  # times the limit: where a walk ends


class Probes:
    """Random walks down the tree of a pyspiel `game`, which fits if it has `limit` histories."""

    def __init__(self, game: Any, limit: int, seed: int = 0):
        self._game, self._limit = game, limit
        self._generator = random.Random(seed)
        self._log_wealth = np.zeros(len(_BETS))
        self._cut = False
        self.estimates: list[float] = []
        """Histories by each walk; no more than a thousand times the limit or a little more."""

    def walk(self, steps: int) -> None:
        """At least one walk, and as many as take `steps` in all."""
        while True:
            state, nodes, width = self._game.new_initial_state(), 1.0, 1.0
            while not state.is_terminal():
                if nodes > _FAR * self._limit:
                    self._cut = True
                    break
                if state.is_chance_node():
                    actions = [action for action, share in state.chance_outcomes() if share > 0]
                else:
                    actions = state.legal_actions()
                width *= len(actions)
                nodes += width
                state.apply_action(self._generator.choice(actions))
                steps -= 1
            self.estimates.append(nodes)
            self._log_wealth += np.log1p(_BETS * (nodes / self._limit - 1))
            if steps <= 0:
                return

    @property
    def hopeless(self) -> bool:
        """Whether the game has more histories than the limit; wrong with probability 1e-9 at most,
        whatever the tail, and however often it is asked.

        Somebody who bets, before each walk, a share of his wealth on its exceeding the limit, at
        the fair odds of a mean that equals the limit, grows a thousand million times richer with
        that probability if the mean is no larger (Ville 1939; Waudby-Smith and Ramdas 2024,
        "Estimating means of bounded random variables by betting").
        """
        return np.logaddexp.reduce(self._log_wealth) - math.log(len(_BETS)) > _CERTAIN

    def sentence(self, seconds: float, num_bytes: float) -> str:
        """The estimate, what would be spent on it at so many seconds and bytes a history, and two
        standard errors."""
        mean = float(np.mean(self.estimates))
        error = 2 * float(np.std(self.estimates)) / math.sqrt(len(self.estimates))
        least = "more than " if self._cut else ""
        spread = "" if self._cut else f" ± {_short(error)}"
        return (
            f"random probes estimate {least}{_short(mean)}{spread} in all "
            f"({_duration(mean * seconds)}, {_short(mean * num_bytes / 2**30)} GiB)"
        )


def _short(number: float) -> str:
    """Two digits: 42 million, 3.1e+12."""
    if number >= 1e9:
        return f"{number:.1e}"
    if number >= 1e6:
        return f"{number / 1e6:.2g} million"
    return f"{float(f'{number:.2g}'):,g}"


def _duration(seconds: float) -> str:
    if seconds < 300:
        return f"{seconds:.0f} s"
    if seconds < 3 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{_short(seconds / 3600)} h"
