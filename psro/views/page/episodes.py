"""Episodes between the two meta-strategies of a run, in the game's own words, as tables."""

from __future__ import annotations

from typing import Any

import games
from games.printing import printable
from psro.measure import replay
from psro.runs import experiment
from psro.runs.folder import Snapshot
from psro.runs.storage import ExperimentError
from psro.views.numbers import three_digits

EPISODES = 4
MOST_MOVES = 60
"""Of one episode; a table of more is too long to read."""
_MOST_CHARACTERS = 1_000
"""Of what a player saw before one move."""


def section(run: Snapshot) -> list[dict[str, Any]]:
    """The section of a run that is measured by episodes; none if OpenSpiel cannot print the game.
    If the run cannot be loaded here, the section says why: its game's package may be missing."""
    try:
        opened = experiment.load(run.folder)
        dealer, episodes = replay.episodes(opened, EPISODES, run.config.seed)
    except (games.GameError, replay.Unprintable):
        return []
    except ExperimentError as error:
        text = f"None can be played: {printable(str(error))}."
        return [{"id": "episodes", "title": "Episodes", "text": text, "figures": [], "tables": []}]
    return [
        {
            "id": "episodes",
            "title": "Episodes",
            "text": "Drawn at random: for each, every player draws one policy from the "
            "meta-strategy. A row shows what a player saw, and what it did.",
            "figures": [],
            "tables": [
                _table(dealer, number, episode) for number, episode in enumerate(episodes, 1)
            ],
        }
    ]


def _table(dealer: replay.Dealer, number: int, episode: replay.Episode) -> dict[str, Any]:
    names = [dealer.player_name(seat) for seat in range(dealer.num_players)]
    said = [
        f"{dealer.player_name(seat, begins=not seat)} (policy {episode.policies[seat]}) "
        f"{three_digits(value, sign=True)}"
        for seat, value in enumerate(episode.returns)
    ]
    rows = [
        ["chance" if move.player is None else names[move.player], _cut(move.seen), _cut(move.name)]
        for move in episode.moves[:MOST_MOVES]
    ]
    if len(episode.moves) > MOST_MOVES:
        rows.append(["…", f"{len(episode.moves) - MOST_MOVES:,} more moves", ""])
    end = "cut off by the limit of length" if episode.is_cut else "the end"
    return {
        "id": f"episode-{number}",
        "title": f"Episode {number}: {', '.join(said)}",
        "columns": ["who", "saw", "did"],
        "rows": [*rows, [end, _cut(episode.end), ""]],
        "note": "",
    }


def _cut(text: str) -> str:
    """A text of at most so many characters; what cannot be printed becomes escapes."""
    text = "\n".join(map(printable, text.rstrip().split("\n")))
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} …"
