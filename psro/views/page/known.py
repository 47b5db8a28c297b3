"""Games whose equilibria are known in closed form, to set a mixture's behaviour beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """One info state at which there are two actions.

    Attributes:
        situation: what the player knows, in words.
        does: the second action, in words.
        constant: how often an equilibrium plays it is `constant + slope * alpha`.
        slope: see `constant`.
    """

    situation: str
    does: str
    constant: float
    slope: float = 0.0

    def frequency(self, alpha: float) -> float:
        return self.constant + self.slope * alpha

    @property
    def formula(self) -> str:
        """`frequency` as a formula: "1/3 + α"."""
        thirds = {0.0: "0", 1 / 3: "1/3", 1.0: "1"}
        terms = [thirds[self.constant]] if self.constant or not self.slope else []
        if self.slope:
            terms.append("α" if self.slope == 1 else f"{self.slope:g}α")
        return " + ".join(terms)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """All equilibria of a game: one for each alpha between 0 and `most`.

    Attributes:
        most: the largest alpha.
        choices: for each player, its choice at each info state, by OpenSpiel's name of the info
            state.
        source: where it was published.
    """

    most: float
    choices: tuple[Mapping[str, Choice], ...]
    source: str

    def nearest(self, frequencies: Mapping[str, float], player: int) -> float:
        """The alpha of the equilibrium nearest to the player's play, by least squares.
        `frequencies` are those of the second action, at the info states that the player reaches."""
        choices = self.choices[player]
        slope = np.array([choices[name].slope for name in frequencies])
        rest = np.array([often - choices[name].constant for name, often in frequencies.items()])
        return float(np.clip(slope @ rest / max(slope @ slope, 1e-300), 0, self.most))


EQUILIBRIA: dict[str, Family] = {
    "kuhn_poker": Family(
        most=1 / 3,
        source="Kuhn 1950, A simplified two-person poker",
        choices=(
            {
                "0": Choice(situation="jack, first to act", does="bets", constant=0, slope=1),
                "1": Choice(situation="queen, first to act", does="bets", constant=0),
                "2": Choice(situation="king, first to act", does="bets", constant=0, slope=3),
                "0pb": Choice(situation="jack, facing a bet", does="calls", constant=0),
                "1pb": Choice(
                    situation="queen, facing a bet", does="calls", constant=1 / 3, slope=1
                ),
                "2pb": Choice(situation="king, facing a bet", does="calls", constant=1),
            },
            {
                "0p": Choice(situation="jack, after a pass", does="bets", constant=1 / 3),
                "1p": Choice(situation="queen, after a pass", does="bets", constant=0),
                "2p": Choice(situation="king, after a pass", does="bets", constant=1),
                "0b": Choice(situation="jack, facing a bet", does="calls", constant=0),
                "1b": Choice(situation="queen, facing a bet", does="calls", constant=1 / 3),
                "2b": Choice(situation="king, facing a bet", does="calls", constant=1),
            },
        ),
    ),
}
"""By OpenSpiel's game string."""
