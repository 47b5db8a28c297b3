"""The ways to play a game and to measure policies in it, by the names of settings."""

BACKENDS = ("auto", "tree", "native", "openspiel")
"""What plays a game; see `games.readers.opening.open_game`."""
EVALUATIONS = ("auto", "exact", "sampled")
"""How policies are measured in it."""
