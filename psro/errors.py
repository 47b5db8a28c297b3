"""What a user is told in one sentence.

`PsroError` and `games.GameError` are all that the command `psro` catches and prints without a
traceback. Every other exception is a fault of ours (or of a plug-in's) and keeps its traceback.
"""


class PsroError(ValueError):
    """Something that a user can mend; its text is one sentence that says what is wrong."""


class SettingsError(PsroError):
    """A setting, or an argument, that cannot be used; the sentence names it and its value."""
