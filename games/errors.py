"""What is wrong with a game, told in one sentence."""

MAX_RETURN = 1e300
"""The largest payoff, of either sign; beyond it sums over a game are no floats."""


class GameError(ValueError):
    """A game that cannot be loaded; one sentence says why."""


MAX_HISTORIES = 20_000_000
"""The largest game that is enumerated by default: at most 250 bytes a history, 5 GB in all, and
about a minute."""
