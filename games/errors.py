"""The error of a game that cannot be used, and the limits of games."""

MAX_RETURN = 1e300
"""The largest absolute payoff; sums over a game with larger ones could overflow."""


class GameError(ValueError):
    """A game that cannot be loaded; one sentence says why."""


def sentence(error: Exception) -> str:
    """What another program's error says, on one line and not too long."""
    return " ".join(str(error).split())[:200] or type(error).__name__


MAX_HISTORIES = 20_000_000
"""The largest game that is enumerated by default: at most 250 bytes a history, 5 GB in all, and
about a minute."""
