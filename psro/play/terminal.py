"""A person against a population, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import rich.console
import rich.text

from psro.play import boards, cards
from psro.play.boards import Board
from psro.play.cards import Card, Move
from psro.play.match import Match, View
from psro.play.stage import Action


def in_terminal(match: Match, out: rich.console.Console) -> None:
    """Plays hand after hand until `q` or the end of input."""
    _say(out, f"{match.name}: you are {match.seat_name}.")
    _say(out, match.rules)
    _say(out, f"Per hand in this seat, the population itself makes {_par(match)}.")
    _say(out, "Type a number or an action's name; q quits.")
    try:
        while True:
            _one_hand(match, out)
            while _ask(out, "Enter for the next hand, q to quit: "):
                _say(out, "This hand is over: press Enter or q.")
            match.deal()
    except (EOFError, _Quit):
        hands = len(match.history)
        if hands:
            _say(out, f"\n{_count(hands, 'hand')}: {match.score:+g} in all, "
                      f"{match.score / hands:+.3f} a hand.")  # fmt: skip
        else:
            _say(out, "\nNo hand was finished.")


def _par(match: Match) -> str:
    par = match.par[match.view.seat]
    if par.best_response is None:
        return f"{par.value:+.3f} ± {par.error:.3f} on average, measured by episodes"
    return f"{par.value:+.3f} on average, and a best response {par.best_response:+.3f}"


class _Quit(Exception):
    """The person wants to stop."""


def _one_hand(match: Match, out: rich.console.Console) -> None:
    _say(out, f"\nhand {match.view.hand}", style="bold")
    while match.view.end is None:
        _show(match, out)
        match.play(_choose(match.view, out))
    _show_end(match, out)


def _choose(view: View, out: rich.console.Console) -> int:
    """The number of the action that the person chooses. A typed number is a place in the list, or a
    cell of the board, counted from 1."""
    actions = view.actions
    names = [action.name.lower() for action in actions]
    meanings = [action.meaning for action in actions]
    if view.board is None:
        by_place = {place: action.number for place, action in enumerate(actions, 1)}
        _show_actions(actions, out)
        hint = f"type 1 to {len(actions)}, or an action's name"
    else:
        by_place = {action.number + 1: action.number for action in actions}
        hint = f"type the number of a cell, or a name such as {actions[0].name}"
    while True:
        typed = _ask(out, "your move: ")
        if typed.isdecimal() and len(typed) < 10 and int(typed) in by_place:
            return by_place[int(typed)]
        for known in (names, meanings):
            if typed and typed in known:
                return actions[known.index(typed)].number
        begin = [
            action.number
            for action, name, meaning in zip(actions, names, meanings, strict=True)
            if typed and (name.startswith(typed) or meaning.startswith(typed))
        ]
        if len(begin) == 1:
            return begin[0]
        _say(out, f"{typed!r} is not a move here: {hint}.")


def _show_actions(actions: Sequence[Action], out: rich.console.Console) -> None:
    """The legal actions, each with its place; many of them side by side."""
    texts = []
    for place, action in enumerate(actions, 1):
        meaning = f"  ({action.meaning})" if action.meaning else ""
        texts.append(f"  {place:>{max(2, len(str(len(actions))))}}  {action.name}{meaning}")
    width = max(map(len, texts))
    columns = max(1, out.width // (width + 1)) if len(texts) > _LIST else 1
    rows = -(-len(texts) // columns)
    for row in range(rows):
        _say(out, " ".join(text.ljust(width) for text in texts[row::rows]).rstrip())


_LIST = 12
"""More actions than this are not listed one on each line."""


def _ask(out: rich.console.Console, prompt: str) -> str:
    """A line of input without spaces around it, in lower case."""
    typed = out.input(rich.text.Text(prompt)).strip().lower()
    if typed in ("q", "quit"):
        raise _Quit
    return typed


def _show(match: Match, out: rich.console.Console) -> None:
    """What the person sees before a move."""
    picture, board = match.view.picture, match.view.board
    if board is not None:
        _show_board(board, {action.number for action in match.view.actions}, out)
        mark = "xo"[match.view.seat]
        _say(out, ". ".join(filter(None, [f"You are {mark}; {board.goal}", board.note])) + ".")
        return
    if picture is None:
        _say(out, match.view.text)
        return
    _show_moves(match, picture.moves, out)
    _show_cards([("you", picture.own), ("table", picture.board)], out)
    _say(out, f"  pot {picture.pot}")


def _show_end(match: Match, out: rich.console.Console) -> None:
    view, end = match.view, match.view.end
    if end.pictures:
        picture_of_you = end.pictures[view.seat]
        _show_moves(match, picture_of_you.moves, out)
        others = [
            (match.player_name(seat), picture.own)
            for seat, picture in enumerate(end.pictures)
            if seat != view.seat
        ]
        _show_cards([("you", picture_of_you.own), ("table", picture_of_you.board), *others], out)
    elif end.board is not None:
        _show_board(end.board, set(), out)
    else:
        _say(out, end.state)
    if end.outcome:
        _say(out, f"outcome: {end.outcome}")
    result = end.returns[view.seat]
    word = "You win" if result > 0 else "You lose" if result < 0 else "Nobody wins:"
    said = f"{word} {abs(result):g}." if match.wins else f"You get {result:g}."
    _say(out, said, style="bold")
    for met in end.met:
        _say(out, f"{match.player_name(met.player, begins=True)} played {met.name}.")
    hands = len(match.history)
    _say(out, f"Score after {_count(hands, 'hand')}: {match.score:+g}")


def _show_board(board: Board, free: set[int], out: rich.console.Console) -> None:
    for line in boards.lines(board, free, ascii_only=out.options.ascii_only):
        _say(out, line)


def _show_moves(match: Match, moves: Sequence[Move], out: rich.console.Console) -> None:
    for move in moves:
        who = "you" if move.player == match.view.seat else match.player_name(move.player)
        _say(out, f"  {who}: {move.meaning or move.name.lower()}", style="dim")


def _show_cards(
    groups: Sequence[tuple[str, Sequence[Card | None]]], out: rich.console.Console
) -> None:
    """Groups of cards side by side, each under its name. Groups without cards are left out."""
    groups = [(label, shown) for label, shown in groups if shown]
    if out.options.ascii_only:
        for label, shown in groups:
            names = [f"{card.rank}{_LETTERS[card.suit]}" if card else "?" for card in shown]
            _say(out, f"  {label}: {' '.join(names)}")
        return
    rows = [rich.text.Text("  ") for _ in range(1 + cards.HEIGHT)]
    for label, shown in groups:
        width = max(len(label), (cards.WIDTH + 1) * len(shown) - 1)
        rows[0].append(label.ljust(width + 3))
        boxes = [(cards.box(card), card and card.suit in "♥♦") for card in shown]
        for line, row in enumerate(rows[1:]):
            before = len(row)
            for box, red in boxes:
                row.append(box[line], style="red" if red else "")
                row.append(" ")
            row.pad_right(before + width + 3 - len(row))
    for row in rows:
        row.rstrip()
        out.print(row)


_LETTERS = dict(zip("♠♥♦♣", "shdc", strict=True))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _say(out: rich.console.Console, text: str, style: str = "") -> None:
    """Prints text literally, because a game's own text may look like markup."""
    out.print(rich.text.Text(text, style=style))
