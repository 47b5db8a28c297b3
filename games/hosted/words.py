"""What a player of an environment sees and does, in words: no library has texts for all of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

ACTION_NAMES = {
    "pettingzoo::connect_four": [f"column {number}" for number in range(1, 8)],
    "pettingzoo::leduc_holdem": ["Call", "Raise", "Fold", "Check"],
    "pettingzoo::rps": ["Rock", "Paper", "Scissors", "Lizard", "Spock"],
    "pettingzoo::texas_holdem": ["Call", "Raise", "Fold", "Check"],
    "pettingzoo::texas_holdem_no_limit": [
        "Fold", "Check & Call", "Raise Half Pot", "Raise Full Pot", "All In",
    ],
    "pgx::connect_four": [f"column {number}" for number in range(1, 8)],
    "pgx::kuhn_poker": ["Bet", "Pass"],
    "pgx::leduc_holdem": ["Call", "Raise", "Fold"],
}  # fmt: skip
"""By an environment's name without its version, from its library's documentation."""
_MOST_NUMBERS = 400
"""Of an observation; a text of more helps nobody."""


def action_name(name: str, action: int) -> str:
    """An action's name in an environment; `action 3` where its library gives none."""
    names = ACTION_NAMES.get(re.sub(r"(_v\d+)?(\(.*\))?$", "", name), [])
    return names[action] if action < len(names) else f"action {action}"


def in_words(seen: np.ndarray) -> str:
    """An observation of any shape as text. Of planes of zeros and ones, `[H, W, C]`, a grid is
    drawn whose cells show the numbers of their planes."""
    binary = np.isin(seen, (0, 1)).all()
    if binary and seen.ndim == 3 and seen.shape[-1] > 1:
        return _planes(seen.astype(bool))
    if not seen.any():
        return "nothing but zeros"
    if binary and seen.ndim == 1:
        ones = np.flatnonzero(seen)
        return f"ones at {_listed(map(str, ones))}, of {seen.size} numbers"
    rows = seen.reshape(-1, seen.shape[-1]) if seen.ndim > 1 else seen[None]
    texts = [[f"{value:.3g}" for value in row] for row in rows]
    if seen.size > _MOST_NUMBERS or seen.ndim == 1:
        flat = [f"{number}: {value:.3g}" for number, value in enumerate(seen.ravel()) if value]
        return f"not zero: {_listed(flat)}; of {seen.size:,} numbers"
    width = max(len(text) for row in texts for text in row)
    return "\n".join(" ".join(text.rjust(width) for text in row) for row in texts)


def _planes(seen: np.ndarray) -> str:
    """Planes bool `[H, W, C]`. Those that are the same everywhere are named below the grid."""
    flat = seen.reshape(-1, seen.shape[-1])
    full, varies = flat.all(axis=0), flat.any(axis=0) & ~flat.all(axis=0)
    cells = [
        ["+".join(map(str, np.flatnonzero(cell & varies))) or "." for cell in row] for row in seen
    ]
    width = max(len(text) for row in cells for text in row)
    lines = [" ".join(text.rjust(width) for text in row) for row in cells]
    if full.any():
        lines.append(f"planes of ones: {_listed(map(str, np.flatnonzero(full)))}")
    return "\n".join(lines)


def _listed(texts: Iterable[str]) -> str:
    texts = list(texts)
    shown = ", ".join(texts[:_MOST_NUMBERS])
    return shown if len(texts) <= _MOST_NUMBERS else f"{shown} …"
