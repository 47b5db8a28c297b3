"""What is wrong with a game, told in one sentence."""

MAX_RETURN = 1e300
"""The largest payoff, of either sign; beyond it sums over a game are no floats."""


class GameError(ValueError):
    """A game that cannot be loaded; one sentence says why."""
