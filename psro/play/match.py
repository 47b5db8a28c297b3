"""A match of a person against a population, hand by hand, without how it is shown.

Before a hand ends, a `View` holds only the person's own observation, information state and legal
actions. The other players' cards and policies are in it when the hand is over.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from games import InfoStateIndex, PlayerTree
from psro.errors import PsroError
from psro.play.cards import READERS, Picture
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
        pictures: the table as each seat saw it, by seat; empty for games that cannot be drawn.
    """

    returns: tuple[float, ...]
    met: tuple[Met, ...]
    state: str
    pictures: tuple[Picture, ...]


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
        picture: the same as a picture, for games that can be drawn.
        actions: the legal actions; none when the hand is over.
        end: how the hand ended; None before that.
    """

    hand: int
    turn: int
    seat: int
    text: str
    picture: Picture | None
    actions: tuple[Action, ...]
    end: End | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Par:
    """Exact expected returns in a seat, against the population's meta-strategy. `value` is the
    return of that seat's own part of the meta-strategy. `best_response` is the return of a best
    response; no play earns more in the long run."""

    value: float
    best_response: float


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
        self.num_players = experiment.tree.num_players
        self._check(seat)
        self._game = experiment.tree.openspiel()
        kind = self._game.get_type()
        if not (kind.provides_observation_string or kind.provides_information_state_string):
            raise MatchError(f"OpenSpiel cannot print what a player of {self.name} sees")
        self._describes = kind.provides_observation_string
        self._reader = READERS.get(kind.short_name)
        tree = experiment.tree
        labelled = all(player.action_names is not None for player in tree.players)
        self._index = InfoStateIndex(tree, range(self.num_players)) if labelled else None
        chance, *bots = np.random.SeedSequence(seed).spawn(1 + self.num_players)
        self._rng = np.random.default_rng(chance)
        self._bots = [experiment.bot(p, bot_seed) for p, bot_seed in enumerate(bots)]
        measured = experiment.measure()
        self.par = tuple(
            Par(value=float(value), best_response=float(best))
            for value, best in zip(measured.value, measured.best_response_value, strict=True)
        )
        self.history: list[View] = []
        self._turn = 0
        self._deal(seat)

    @property
    def name(self) -> str:
        return self.experiment.config.game

    def player_name(self, seat: int, *, begins: bool = False) -> str:
        """A player's name, as in `GameTree.player_name`."""
        return self.experiment.tree.player_name(seat, begins=begins)

    @property
    def seat_name(self) -> str:
        """The person's seat in words: `player 0 of 2`, or `Alice (player 0 of 2)`."""
        seat = f"player {self.view.seat} of {self.num_players}"
        named = self.experiment.tree.player_names is not None
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

    def _deal(self, seat: int) -> View:
        self._seat, self._state = seat, self._game.new_initial_state()
        joint = self.experiment.joint
        if joint is None:
            for bot in self._bots:
                bot.restart()
        else:  # the person does not play, or learn, its seat's policy in the profile
            drawn = self._rng.choice(joint.size, p=joint.ravel())
            for bot, policy in zip(self._bots, np.unravel_index(drawn, joint.shape), strict=True):
                bot.restart_as(int(policy))
        return self._go_on()

    def _go_on(self) -> View:
        state = self._state
        while not state.is_terminal() and state.current_player() != self._seat:
            if state.is_chance_node():
                outcomes, probabilities = zip(*state.chance_outcomes(), strict=True)
                action = int(self._rng.choice(outcomes, p=probabilities))
            else:
                action = self._bots[state.current_player()].step(state)
            state.apply_action(action)
        self._turn += 1
        self.view = self._seen()
        if self.view.end is not None:
            self.history.append(self.view)
        return self.view

    def _seen(self) -> View:
        state, seat = self._state, self._seat
        picture = self._picture(seat)
        actions, end = (), None
        if state.is_terminal():
            end = self._end()
        else:
            names = self._names(state)
            meanings = picture.meanings if picture else {}
            actions = tuple(
                Action(number=number, name=name, meaning=meanings.get(name, ""))
                for number, name in names
            )
        return View(
            hand=len(self.history) + 1,
            turn=self._turn,
            seat=seat,
            text=self._text(state),
            picture=picture,
            actions=actions,
            end=end,
        )

    def _names(self, state: Any) -> list[tuple[int, str]]:
        """The legal actions, by number and name."""
        if self._index is None or state.is_chance_node():
            mover = state.current_player()
            return [(a, state.action_to_string(mover, a)) for a in state.legal_actions()]
        own, number = self._info_state(state)
        first, last = own.first_sequence[number : number + 2]
        return [(int(own.action[s]), own.action_names[s]) for s in range(first, last)]

    def _info_state(self, state: Any) -> tuple[PlayerTree, int]:
        """The tree of the player to move, and the number of its info state."""
        mover = state.current_player()
        return self.experiment.tree.players[mover], self._index.info_state(state, mover)

    def _text(self, state: Any) -> str:
        """What the person knows, in words. When the hand is over, it is OpenSpiel's string for the
        seat."""
        if self._index is not None and not state.is_terminal():
            own, number = self._info_state(state)
            return own.names[number]
        seen = state.observation_string if self._describes else state.information_state_string
        return seen(self._seat)

    def _moves(self) -> str:
        """The moves of the hand, one on each line, in the words of the game's file."""
        state, lines = self._game.new_initial_state(), []
        for action in self._state.history():
            mover = state.current_player()
            who = "chance" if state.is_chance_node() else self.player_name(mover)
            lines.append(f"{who}: {dict(self._names(state))[action]}")
            state.apply_action(action)
        return "\n".join(lines)

    def _picture(self, seat: int) -> Picture | None:
        if self._reader is None:
            return None
        seen = self._state.information_state_string(seat)
        return self._reader(seen, self.num_players, self._game.get_parameters())

    def _end(self) -> End:
        others = [bot for bot in self._bots if bot.player != self._seat]
        seats = range(self.num_players) if self._reader else ()
        return End(
            returns=tuple(self._state.returns()),
            met=tuple(
                Met(player=bot.player, policy=bot.drawn, weight=float(bot.weights[bot.drawn]))
                for bot in others
            ),
            state=str(self._state) if self._index is None else self._moves(),
            pictures=tuple(self._picture(seat) for seat in seats),
        )
