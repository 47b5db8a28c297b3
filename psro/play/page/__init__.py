"""A match as a page: JSON from a `Match`, and the files that show it.

The page gets only the match's `View`, so it cannot know more than the person.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
import threading
from collections.abc import Mapping
from typing import Any

from psro.play.match import Match, MatchError, View
from psro.play.words import how
from psro.views.server import Refused, Response, Route, text


def routes(match: Match) -> dict[tuple[str, str], Route]:
    """Routes by method and path, for a `LoopbackServer`. There is one match; two tabs share it."""
    lock = threading.Lock()  # one request changes the match at a time

    def now() -> Response:
        return 200, "application/json", json.dumps(_view(match)).encode()

    def view(_: bytes) -> Response:
        with lock:
            return now()

    def play(body: bytes) -> Response:
        """`{"turn": ..., "action": ...}`: the action by its number, and the turn it is for."""
        sent = _sent(body)
        number = _whole(sent, "action")
        with lock:
            _check_turn(match, sent)
            _try(match.play, number)
            return now()

    def deal(body: bytes) -> Response:
        """`{"turn": ..., "seat": ...}`: the next hand, in that seat."""
        sent = _sent(body)
        seat = _whole(sent, "seat")
        with lock:
            _check_turn(match, sent)
            _try(match.deal, seat)
            return now()

    serving: dict[tuple[str, str], Route] = {
        ("GET", "/api/view"): view,
        ("POST", "/api/play"): play,
        ("POST", "/api/deal"): deal,
    }
    for path, (name, kind) in _FILES.items():
        content = importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
        serving["GET", path] = lambda _, content=content, kind=kind: text(content, kind)
    return serving


_FILES = {
    "/": ("play.html", "html"),
    "/play.css": ("play.css", "css"),
    "/served.js": ("served.js", "javascript"),
    "/play.js": ("play.js", "javascript"),
}


def _view(match: Match) -> dict[str, Any]:
    return {
        "game": match.name,
        "players": [match.player_name(seat) for seat in range(match.num_players)],
        "you": match.seat_name,
        "rules": match.rules,
        "wins": match.wins,
        "how": how(match.view.board is not None),
        "par": [dataclasses.asdict(par) for par in match.par],
        "view": dataclasses.asdict(match.view),
        "score": match.score,
        "history": [_past(view) for view in match.history],
    }


def _past(view: View) -> dict[str, Any]:
    """A summary of a finished hand, for one line of the page."""
    return {
        "hand": view.hand,
        "seat": view.seat,
        "result": view.end.returns[view.seat],
        "met": [dataclasses.asdict(met) for met in view.end.met],
    }


def _sent(body: bytes) -> Mapping[str, Any]:
    """The JSON object that a request holds."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise Refused(400, "The body must be a JSON object.")
    return value


def _whole(sent: Mapping[str, Any], name: str) -> int:
    value = sent.get(name)
    if type(value) is not int:
        raise Refused(400, f"{name} must be a whole number.")
    return value


def _check_turn(match: Match, sent: Mapping[str, Any]) -> None:
    """Refuses a click on an earlier turn, such as a double click or one in another tab."""
    if _whole(sent, "turn") != match.view.turn:
        raise Refused(409, "The match has gone on since.")


def _try(act, number: int) -> None:
    try:
        act(number)
    except MatchError as error:
        raise Refused(400, f"{error}.") from None
