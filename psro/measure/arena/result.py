"""The result of an arena, as numbers and as tables of pandas."""

from __future__ import annotations

import dataclasses
import functools
import html
from typing import TYPE_CHECKING

import numpy as np

from psro.measure.arena.forfeits import KINDS
from psro.measure.arena.round_robin import Returns
from psro.measure.arena.scores import QUANTILE, Scores

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arena:
    """What N entrants have done in a game.

    Attributes:
        game: its name.
        names: the entrants' names.
        what: what each of them is, in words.
        returns: what they earn.
        scores: what that says of them.
        notes: sentences on what is not as one may think.
    """

    game: str
    names: tuple[str, ...]
    what: tuple[str, ...]
    returns: Returns
    scores: Scores
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """`exact`, `sampled`, or `exact and sampled` if only pairs of tables are exact."""
        exact = self.returns.exact
        return "exact" if exact.all() else "exact and sampled" if exact.any() else "sampled"

    @property
    def order(self) -> list[int]:
        """The entrants' numbers, the best rating first."""
        return np.argsort(-self.scores.rating, kind="stable").tolist()

    @functools.cached_property
    def matrix(self) -> pd.DataFrame:
        """What the row's entrant earns against the column's, averaged over the row's seats."""
        import pandas as pd

        return pd.DataFrame(self.returns.average, index=self.names, columns=self.names)

    @functools.cached_property
    def half_width(self) -> pd.DataFrame:
        """Half of the 95 % interval of `matrix`; 0 where it is exact."""
        import pandas as pd

        half = QUANTILE * self.returns.average_error
        return pd.DataFrame(half, index=self.names, columns=self.names)

    @functools.cached_property
    def table(self) -> pd.DataFrame:
        """A row for each entrant, the best rating first: see `Scores`, and `nash_conv` and
        `exploitability` (NashConv / P) of those that are tables."""
        import pandas as pd

        scores, returns = self.scores, self.returns
        missing = np.full(len(self.names), np.nan)
        measured = returns.measured
        columns = {
            "payoff": returns.average.mean(axis=1),
            "rating": scores.rating,
            "rating_half_width": QUANTILE * scores.rating_error,
            "nash_weight": missing if scores.nash_weight is None else scores.nash_weight,
            "nash_skill": missing if scores.nash_skill is None else scores.nash_skill,
            "alpha_rank": missing if scores.alpha_rank is None else scores.alpha_rank,
            "nash_conv": [np.nan if m is None else m.nash_conv for m in measured],
            "exploitability": [np.nan if m is None else m.exploitability for m in measured],
            "forfeits": [sum(own.values()) for own in returns.forfeits],
            "what": list(self.what),
        }
        return pd.DataFrame(columns, index=pd.Index(self.names, name="entrant")).iloc[self.order]

    @functools.cached_property
    def seats(self) -> pd.DataFrame:
        """A row for each entrant, opponent and seat: `payoff` and half of its 95 % interval."""
        import pandas as pd

        players, count, _ = self.returns.mean.shape
        p, i, j = (axis.ravel() for axis in np.indices((players, count, count)))
        names = np.array(self.names, object)
        return pd.DataFrame(
            {
                "entrant": names[i],
                "opponent": names[j],
                "seat": p,
                "payoff": self.returns.mean.ravel(),
                "half_width": QUANTILE * self.returns.error.ravel(),
                "exact": self.returns.exact[i, j],
            }
        )

    @functools.cached_property
    def forfeits(self) -> pd.DataFrame:
        """A row for each entrant and kind of forfeit: how many episodes, and the first in words."""
        import pandas as pd

        rows = [
            (name, KINDS[kind], count, words[kind])
            for name, counted, words in zip(
                self.names, self.returns.forfeits, self.returns.words, strict=True
            )
            for kind, count in counted.items()
        ]
        return pd.DataFrame(rows, columns=["entrant", "reason", "episodes", "first"])

    def __repr__(self) -> str:
        shown = self._short.to_string(float_format="{:.4g}".format)
        return f"Arena of {len(self.names)} in {self.game}, {self.kind}\n{shown}"

    def _repr_html_(self) -> str:
        title = html.escape(f"Arena of {len(self.names)} in {self.game}, {self.kind}")
        return f"<p>{title}</p>{self._short.to_html(float_format='{:.4g}'.format)}"

    @property
    def _short(self) -> pd.DataFrame:
        """The table without what is missing for all."""
        table = self.table.drop(columns="what").dropna(axis="columns", how="all")
        return table if table["forfeits"].any() else table.drop(columns="forfeits")
