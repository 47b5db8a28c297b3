"""A small game drawn as a tree, as SVG: names on the branches, probabilities beside them, info sets
as dashed lines."""

from __future__ import annotations

import dataclasses
import html
import itertools
from collections.abc import Sequence

import numpy as np

from games.errors import GameError
from games.named import Named
from games.readers.nodes import Node, nodes
from games.tree import GameTree
from psro.errors import PsroError

MAX_LEAVES = 120
"""A tree with more terminals cannot be read."""

_ROW, _COLUMN, _MARGIN = 24, 190, 24
_PLAYED = 5e-4
"""Actions of a smaller probability are drawn as not played."""
_LETTERS = 18
"""Characters of a name on a branch; the whole name is in the tooltip."""

_STYLE = """
svg { color: #222; background: #fff; font: 11px system-ui, sans-serif; }
.branch { stroke: #999; fill: none; } .played { stroke: #3056c4; stroke-width: 2.5; }
.set { stroke: #b4651d; stroke-dasharray: 4 3; fill: none; } text { fill: #222; }
.share { fill: #3056c4; } .chance { fill: #777; }
@media (prefers-color-scheme: dark) {
svg { color: #ddd; background: #16181d; } text { fill: #ddd; } .branch { stroke: #666; }
.played { stroke: #8aa8ff; } .share { fill: #8aa8ff; } .set { stroke: #e0a060; }
.chance { fill: #999; } }
"""


class DrawingError(PsroError):
    """A tree that cannot be drawn; one sentence says why."""


@dataclasses.dataclass
class _Placed:
    """A node's place in the drawing."""

    x: float
    y: float


def svg(tree: GameTree, behaviours: Sequence[np.ndarray] | None = None) -> str:
    """The tree from left to right, with the probability of each action of `behaviours [S_p]`.

    Raises:
        DrawingError: it has more than `MAX_LEAVES` terminals.
    """
    if tree.num_terminals > MAX_LEAVES:
        raise DrawingError(
            f"{tree.name} has {tree.num_terminals:,} terminals, and trees of at most {MAX_LEAVES} "
            "are drawn"
        )
    try:
        listed = nodes(tree)
    except GameError as error:
        raise DrawingError(str(error)) from None
    named, places = Named(tree), _placed(listed)
    width = max(place.x for place in places) + 2 * _MARGIN + _COLUMN
    height = max(place.y for place in places) + 2 * _MARGIN
    shapes = [*_info_sets(tree, listed, places, named)]
    for number, node in enumerate(listed):
        if node.parent >= 0:
            shapes += _branch(tree, listed, number, places, behaviours)
        shapes += _mark(tree, node, places[number], named)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img">'
        f"<title>{_text(tree.name)}</title><style>{_STYLE}</style>{''.join(shapes)}</svg>\n"
    )


def _placed(listed: list[Node]) -> list[_Placed]:
    """Leaves in rows, every other node in the middle of its children, columns by depth."""
    depth, rows, order, waiting = [0] * len(listed), 0, [], [0]
    while waiting:
        number = waiting.pop()
        order.append(number)
        for child in reversed(listed[number].children):
            depth[child] = depth[number] + 1
            waiting.append(child)
    places = [_Placed(_MARGIN + _COLUMN * d, 0.0) for d in depth]
    for number in order:
        if not listed[number].children:
            places[number].y, rows = _MARGIN + _ROW * rows, rows + 1
    for number in reversed(order):
        if children := listed[number].children:
            places[number].y = (places[children[0]].y + places[children[-1]].y) / 2
    return places


def _branch(tree, listed, number: int, places, behaviours) -> list[str]:
    """The line to a node from the one before, with the move's name and probability."""
    node, above = listed[number], listed[listed[number].parent]
    start, end = places[node.parent], places[number]
    share, kind = node.probability, "chance"
    if above.decision is not None and behaviours is not None:
        player = int(tree.decision_player[above.decision])
        info_state = int(tree.decision_info_state[above.decision])
        first = int(tree.players[player].first_sequence[info_state])
        share = float(behaviours[player][first + above.children.index(number)])
        kind = "share"
    played = kind == "share" and share >= _PLAYED
    said = "" if share is None else f' <tspan class="{kind}">{_text(_share(share))}</tspan>'
    bend = start.x + 0.3 * _COLUMN
    name = node.move if len(node.move) <= _LETTERS else node.move[: _LETTERS - 1] + "…"
    path = f"M{start.x:.0f} {start.y:.1f}L{bend:.0f} {end.y:.1f}H{end.x:.0f}"
    return [
        f'<path class="branch{" played" if played else ""}" d="{path}"/>',
        f'<text x="{bend + 4:.0f}" y="{end.y - 4:.1f}"><title>{_text(node.move)}</title>'
        f"{_text(name)}{said}</text>",
    ]


def _share(share: float) -> str:
    """A probability in percent; a long number would run into the name of the next mover."""
    shown = "<\N{NO-BREAK SPACE}0.1" if 0 < share < _PLAYED else f"{100 * share:.3g}"
    return f"{shown}\N{NO-BREAK SPACE}%"


def _mark(tree: GameTree, node: Node, place: _Placed, named: Named) -> list[str]:
    """What stands at a node: a dot and its mover, a square for chance, or payoffs."""
    if node.terminal is not None:
        paid = ", ".join(f"{value:.4g}" for value in tree.terminal_returns[node.terminal])
        outcome = f"{node.outcome}: " if node.outcome else ""
        return [f'<text x="{place.x + 5:.0f}" y="{place.y + 4:.1f}">{_text(outcome + paid)}</text>']
    if node.is_chance:
        return [
            f'<rect class="chance" x="{place.x - 4:.0f}" y="{place.y - 4:.1f}" width="8" '
            'height="8"><title>chance</title></rect>'
        ]
    player = int(tree.decision_player[node.decision])
    info_state = int(tree.decision_info_state[node.decision])
    name = named.players[player]
    where = "" if named.is_one_shot else f": {named.info_states[player][info_state]}"
    shown = name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "…"
    return [
        f'<circle cx="{place.x:.0f}" cy="{place.y:.1f}" r="4.5" fill="currentColor">'
        f"<title>{_text(name + where)}</title></circle>"
        f'<text x="{place.x - 7:.0f}" y="{place.y - 5:.1f}" text-anchor="end">{_text(shown)}</text>'
    ]


def _info_sets(tree: GameTree, listed, places, named: Named) -> list[str]:
    """A dashed line through the nodes of each info set that has several."""
    sets: dict[tuple[int, int], list[int]] = {}
    for number, node in enumerate(listed):
        if node.decision is not None:
            player = int(tree.decision_player[node.decision])
            key = player, int(tree.decision_info_state[node.decision])
            sets.setdefault(key, []).append(number)
    lines = []
    for (player, info_state), members in sets.items():
        if len(members) > 1:
            aside = 8 + 9 * (len(lines) % 4)  # so that two sets in one column are two lines
            curve = "".join(
                f"Q{(a.x + b.x) / 2 + aside:.0f} {(a.y + b.y) / 2:.1f} {b.x:.0f} {b.y:.1f}"
                for a, b in itertools.pairwise(places[m] for m in members)
            )
            start = places[members[0]]
            title = _text(named.info_states[player][info_state])
            lines.append(
                f'<path class="set" d="M{start.x:.0f} {start.y:.1f}{curve}">'
                f"<title>{title}</title></path>"
            )
    return lines


def _text(text: str) -> str:
    """A name in SVG."""
    return html.escape(text)
