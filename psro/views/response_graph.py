"""The response graph of an arena, as SVG: who beats whom (Omidshafiei et al. 2019,
arXiv:1903.01373, section 3: alpha-Rank is the stationary distribution of a walk on it).

Entrants stand in a column, the best rating first. An arc leads from an entrant to one that beats
it. Arcs upwards are what ratings say; arcs downwards are upsets, and close cycles.
"""

from __future__ import annotations

import html

import numpy as np

from psro.errors import PsroError
from psro.measure.arena import Arena
from psro.views.numbers import percent, three_digits

FEW = 8
"""Of more entrants, arcs upwards are drawn only to the one that beats an entrant most."""
MOST_UPSETS = 80
"""The most arcs downwards, those of the largest leads."""

_ROW, _TOP, _LABELS, _WIDTH = 30, 28, 190, 400
_LETTERS = 20
_STYLE = """
svg { color: #222; background: #fff; font: 12px system-ui, sans-serif; }
text { fill: #222; } .soft { fill: #777; } .dot { fill: #3056c4; }
.up { stroke: #9aa0ab; fill: none; stroke-width: 1.3; } .uphead { fill: #9aa0ab; }
.upset { stroke: #c8641a; fill: none; stroke-width: 1.6; } .upsethead { fill: #c8641a; }
@media (prefers-color-scheme: dark) {
svg { color: #ddd; background: #1b1e24; } text { fill: #ddd; } .soft { fill: #98a0ae; }
.dot { fill: #8aa8ff; } .up { stroke: #6b7280; } .uphead { fill: #6b7280; }
.upset { stroke: #f0a35c; } .upsethead { fill: #f0a35c; } }
"""

CAPTION = (
    "An arc leads from an entrant to one that beats it: that earns more when they meet, by more "
    "than the 95 % interval. Grey arcs lead up the ratings, orange ones down: they are upsets. The "
    "dots and percentages are alpha-Rank's shares of time."
)


class NoGraph(PsroError):
    """An arena without a response graph; one sentence says why."""


def svg(arena: Arena) -> str:
    """The graph.

    Raises:
        NoGraph: the game has more than two players.
    """
    if arena.scores.beats is None:
        raise NoGraph(f"a response graph is for two players, and {arena.game} has more")
    rank = {number: place for place, number in enumerate(arena.order)}
    height = 2 * _TOP + _ROW * (len(rank) - 1)
    shapes = [*map(_arc, *zip(*arcs(arena), strict=True))] if arcs(arena) else []
    for number, place in rank.items():
        shapes += _node(arena, number, _TOP + _ROW * place)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img"><title>{_text(arena.game)}: who beats whom'
        f"</title><style>{_STYLE}</style><defs>{_head('up')}{_head('upset')}</defs>"
        f"{''.join(shapes)}</svg>\n"
    )


def arcs(arena: Arena) -> list[tuple[int, int, str]]:
    """What is drawn: the places of the loser and the winner, and a text."""
    beats, table, order = arena.scores.beats, arena.returns.average, arena.order
    lead = np.where(beats, table.T - table, -np.inf)[np.ix_(order, order)]  # by places
    ups, upsets = [], []
    for i in range(len(order)):
        above = [j for j in range(i) if lead[i, j] > -np.inf]
        if len(order) > FEW and above:
            above = [max(above, key=lambda j: lead[i, j])]
        ups += [(i, j) for j in above]
        upsets += [(i, j) for j in range(i + 1, len(order)) if lead[i, j] > -np.inf]
    upsets = sorted(upsets, key=lambda pair: -lead[pair])[:MOST_UPSETS]
    names = [arena.names[number] for number in order]
    return [
        (i, j, f"{names[j]} beats {names[i]} by {three_digits(lead[i, j])}")
        for i, j in [*ups, *upsets]
    ]


def _arc(loser: int, winner: int, text: str) -> str:
    kind = "up" if winner < loser else "upset"
    start, end = _TOP + _ROW * loser, _TOP + _ROW * winner
    aside = 22 + 150 * (abs(start - end) / (abs(start - end) + 110))
    x = _LABELS + 14
    return (
        f'<path class="{kind}" marker-end="url(#{kind})" d="M{x} {start}C{x + aside:.0f} {start} '
        f'{x + aside:.0f} {end} {x + 4} {end}"><title>{_text(text)}</title></path>'
    )


def _node(arena: Arena, number: int, y: int) -> list[str]:
    share = float(arena.scores.alpha_rank[number])
    name = arena.names[number]
    shown = name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "…"
    said = f' <tspan class="soft">{percent(share)}</tspan>' if share >= 5e-4 else ""
    return [
        f'<circle class="dot" cx="{_LABELS}" cy="{y}" r="{3 + 6 * share**0.5:.1f}"/>',
        f'<text x="{_LABELS - 14}" y="{y + 4}" text-anchor="end"><title>{_text(name)}</title>'
        f"{_text(shown)}{said}</text>",
    ]


def _head(kind: str) -> str:
    return (
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="6" markerHeight="6" '
        f'orient="auto" markerUnits="userSpaceOnUse"><path class="{kind}head" d="M0 0L8 4L0 8z"/>'
        "</marker>"
    )


def _text(text: str) -> str:
    """A name in SVG, without characters that XML does not have."""
    return html.escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
