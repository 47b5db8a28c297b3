"""A match of a person against a population, hand by hand, without how it is shown.

Before a hand ends, a `View` holds only the person's own observation, information state and legal
actions. The other players' cards and policies are in it when the hand is over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from games import GameError
from psro.errors import PsroError
from psro.measure.replay import Dealer, Unprintable
from psro.play import words
from psro.play.stage import Close, Scene, Stage
from psro.policies.jax_settings import own_settings
from psro.runs.experiment import Experiment
from psro.runs.naming import game_of
from psro.training.record import Record


class MatchError(PsroError):
    """Something that cannot be played; one sentence says why."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Met:
    """The policy that a player used: its number in the population, the iteration that added it, and
    its weight there. The iteration is None where policies are replaced by later ones."""

    player: int
    policy: int
    iteration: int | None
    weight: float

    @property
    def name(self) -> str:
        """The policy in words, such as `policy 3 (iteration 3, weight 12.5%)`."""
        iteration = "" if self.iteration is None else f"iteration {self.iteration}, "
        return f"policy {self.policy} ({iteration}weight {self.weight:.1%})"


@dataclasses.dataclass(frozen=True, kw_only=True)
class End(Close):
    """A finished hand.

    Attributes:
        returns: all players', in units of the game's payoff.
        met: the other players' policies.
    """

    returns: tuple[float, ...]
    met: tuple[Met, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class View(Scene):
    """What the person may know.

    Attributes:
        hand: the hand's number, from 1.
        turn: counts the person's decisions and the ends of hands. A move names the turn that it is
            for.
        seat: the person's seat.
        end: how the hand ended; None before that.
    """

    hand: int
    turn: int
    seat: int
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
        self._stage = Stage(self._dealer)
        self._made_in = made_in(experiment.records)
        self.par = par_of(experiment)
        self.history: list[View] = []
        self._turn = 0
        self._deal(seat)

    @property
    def name(self) -> str:
        """The game, without the folders of its file."""
        return game_of(self.experiment.config)

    @property
    def wins(self) -> bool:
        """Whether players win what others lose, so that a return is a win or a loss."""
        return zero_sum(self.experiment)

    @property
    def rules(self) -> str:
        """The game's rules in a line."""
        return words.rules(self.experiment, self._dealer)

    def player_name(self, seat: int, *, begins: bool = False) -> str:
        """A player's name, as in `GameTree.player_name`."""
        return self._dealer.player_name(seat, begins=begins)

    @property
    def seat_name(self) -> str:
        """The person's seat in words, see `seat_name`."""
        return seat_name(self._dealer, self.view.seat)

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
        state = self._state
        return View(
            **_fields(self._stage.scene(state, self._seat)),
            hand=len(self.history) + 1,
            turn=self._turn,
            seat=self._seat,
            end=self._end() if state.is_terminal() else None,
        )

    def _end(self) -> End:
        return End(
            **_fields(self._stage.close(self._state)),
            returns=tuple(self._state.returns()),
            met=tuple(
                Met(
                    player=bot.player,
                    policy=bot.drawn,
                    iteration=None if self._made_in is None else self._made_in[bot.drawn],
                    weight=float(bot.weights[bot.drawn]),
                )
                for bot in self._dealer.bots
                if bot.player != self._seat
            ),
        )


def _fields(record: Scene | Close) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def seat_name(dealer: Dealer, seat: int) -> str:
    """A seat in words: `player 0 of 2`, or `Alice (player 0 of 2)`."""
    words = f"player {seat} of {dealer.num_players}"
    return words if dealer.player_names is None else f"{dealer.player_name(seat)} ({words})"


def zero_sum(experiment: Experiment) -> bool:
    """Whether the players' returns add up to 0; a game that is not enumerated counts as such."""
    return experiment.tree is None or experiment.tree.utility_sum == 0


def made_in(records: Sequence[Record]) -> list[int] | None:
    """The iteration that added each policy, `[K]`; None if iterations also replaced policies."""
    result: list[int] = []
    for record in records:
        if record.size <= len(result):
            return None
        result += [record.iteration] * (record.size - len(result))
    return result


def par_of(experiment: Experiment) -> tuple[Par, ...]:
    """What to expect in each seat."""
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
