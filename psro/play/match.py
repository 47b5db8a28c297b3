"""A match of a person against a population, hand by hand, without how it is shown.

Before a hand ends, a `View` holds only the person's own observation, information state and legal
actions. The other players' cards and policies are in it when the hand is over.
"""

from __future__ import annotations

import dataclasses

from games import GameError
from psro.errors import PsroError
from psro.measure.replay import Dealer, Unprintable
from psro.play import boards
from psro.play.boards import Board
from psro.play.cards import READERS, Picture
from psro.policies.jax_settings import own_settings
from psro.runs.experiment import Experiment


class MatchError(PsroError):
    """Something that cannot be played; one sentence says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Action:
    """A legal action: OpenSpiel's number; its name, from OpenSpiel or from the game's file; and its
    meaning here, if that says more than the name."""

    number: int
    name: str
    meaning: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Met:
    """The policy that a player used: its number in the population, and its weight there."""

    player: int
    policy: int
    weight: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class End:
    """A finished hand.

    Attributes:
        returns: all players', in units of the game's payoff.
        met: the other players' policies.
        state: the whole state, as OpenSpiel prints it; or all moves, in the words of the game's
            file.
        pictures: the table as each seat saw it, by seat; empty for games without cards.
        board: the whole board; None for games without one.
    """

    returns: tuple[float, ...]
    met: tuple[Met, ...]
    state: str
    pictures: tuple[Picture, ...]
    board: Board | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """What the person may know.

    Attributes:
        hand: the hand's number, from 1.
        turn: counts the person's decisions and the ends of hands. A move names the turn that it is
            for.
        seat: the person's seat.
        text: OpenSpiel's observation string for the seat, or its information state string if there
            is no other; or the info state's name in the game's file.
        picture: the same as a picture, for card games that can be drawn.
        board: the same as a board, for board games that can be drawn.
        actions: the legal actions; none when the hand is over.
        end: how the hand ended; None before that.
    """

    hand: int
    turn: int
    seat: int
    text: str
    picture: Picture | None
    board: Board | None
    actions: tuple[Action, ...]
    end: End | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Par:
    """Expected returns in a seat, against the population's meta-strategy. `value` is the return of
    that seat's own part of the meta-strategy, with its standard error; 0 where it is exact.
    `best_response` is the return of a best response; no play earns more in the long run. It is None
    where nobody knows it."""

    value: float
    error: float
    best_response: float | None


class Match:
    """Hands against the other players. In each hand, each of them plays one policy, drawn from the
    meta-strategy. If the meta-strategy is correlated, their policies are drawn together.

    Attributes:
        experiment: the run whose populations play.
        num_players: the number of seats.
        view: the current hand.
        history: finished hands, in order.
        par: what to expect in each seat.
    """

    def __init__(self, experiment: Experiment, seat: int = 0, seed: int | None = None):
        """Deals the first hand. With the same `seed`, deals, draws of policies and the others'
        actions are the same. With None they differ each time.

        Raises `MatchError` for a seat that the game does not have, a seed below 0, or a game whose
        states OpenSpiel cannot print.
        """
        if seed is not None and seed < 0:
            raise MatchError(f"seed {seed} must be at least 0")
        self.experiment = experiment
        self.num_players = experiment.rules.num_players
        self._check(seat)
        try:
            self._dealer = Dealer(experiment, seed)
        except (Unprintable, GameError) as error:
            raise MatchError(str(error)) from None
        self._game = self._dealer.game
        self._short_name = self._dealer.short_name
        self._reader = READERS.get(self._short_name)
        self.par = _par(experiment)
        self.history: list[View] = []
        self._turn = 0
        self._deal(seat)

    @property
    def name(self) -> str:
        return self.experiment.config.game

    def player_name(self, seat: int, *, begins: bool = False) -> str:
        """A player's name, as in `GameTree.player_name`."""
        return self._dealer.player_name(seat, begins=begins)

    @property
    def seat_name(self) -> str:
        """The person's seat in words: `player 0 of 2`, or `Alice (player 0 of 2)`."""
        seat = f"player {self.view.seat} of {self.num_players}"
        named = self._dealer.player_names is not None
        return f"{self.player_name(self.view.seat)} ({seat})" if named else seat

    @property
    def score(self) -> float:
        """The sum of the person's returns in all finished hands."""
        return sum(view.end.returns[view.seat] for view in self.history)

    def deal(self, seat: int | None = None) -> View:
        """Deals the next hand, in another seat if one is given."""
        if self.view.end is None:
            raise MatchError("this hand is not over yet")
        seat = self.view.seat if seat is None else seat
        self._check(seat)
        return self._deal(seat)

    @own_settings()
    def play(self, number: int) -> View:
        """Plays action `number` for the person. Then the others play until it is the person's turn
        again or the hand is over."""
        if self.view.end is not None:
            raise MatchError("this hand is over")
        if number not in [action.number for action in self.view.actions]:
            raise MatchError(f"action {number} is not legal here")
        self._state.apply_action(number)
        return self._go_on()

    def _check(self, seat: int) -> None:
        if not 0 <= seat < self.num_players:
            raise MatchError(
                f"seat {seat} must be from 0 to {self.num_players - 1}: {self.name} is for "
                f"{self.num_players} players"
            )

    @own_settings()
    def _deal(self, seat: int) -> View:
        # The person does not play, or learn, its own seat's policy.
        self._seat, self._state = seat, self._dealer.begin()
        return self._go_on()

    def _go_on(self) -> View:
        state = self._state
        while not state.is_terminal() and state.current_player() != self._seat:
            state.apply_action(self._dealer.action(state))
        self._turn += 1
        self.view = self._seen()
        if self.view.end is not None:
            self.history.append(self.view)
        return self.view

    def _seen(self) -> View:
        state, seat = self._state, self._seat
        picture, text = self._picture(seat), self._dealer.text(state, seat)
        actions, end = (), None
        if state.is_terminal():
            end = self._end()
        else:
            meanings = picture.meanings if picture else {}
            actions = tuple(
                Action(number=number, name=name, meaning=meanings.get(name, ""))
                for number, name in self._dealer.names(state)
            )
        return View(
            hand=len(self.history) + 1,
            turn=self._turn,
            seat=seat,
            text=text,
            picture=picture,
            board=boards.read(self._short_name, text),
            actions=actions,
            end=end,
        )

    def _moves(self) -> str:
        """The moves of the hand, one on each line, in the words of the game's file."""
        state, lines = self._game.new_initial_state(), []
        for action in self._state.history():
            mover = state.current_player()
            who = "chance" if state.is_chance_node() else self.player_name(mover)
            lines.append(f"{who}: {self._dealer.name(state, action)}")
            state.apply_action(action)
        return "\n".join(lines)

    def _picture(self, seat: int) -> Picture | None:
        if self._reader is None:
            return None
        seen = self._state.information_state_string(seat)
        return self._reader(seen, self.num_players, self._game.get_parameters())

    def _end(self) -> End:
        others = [bot for bot in self._dealer.bots if bot.player != self._seat]
        seats = range(self.num_players) if self._reader else ()
        return End(
            returns=tuple(self._state.returns()),
            met=tuple(
                Met(player=bot.player, policy=bot.drawn, weight=float(bot.weights[bot.drawn]))
                for bot in others
            ),
            state=self._moves() if self._dealer.labelled else str(self._state),
            pictures=tuple(self._picture(seat) for seat in seats),
            board=boards.read(self._short_name, str(self._state)),
        )


def _par(experiment: Experiment) -> tuple[Par, ...]:
    measured = experiment.measure()
    seats = range(experiment.rules.num_players)
    best, error = measured.best_response_value, measured.value_error
    return tuple(
        Par(
            value=float(measured.value[seat]),
            error=0.0 if error is None else float(error[seat]),
            best_response=None if best is None else float(best[seat]),
        )
        for seat in seats
    )
