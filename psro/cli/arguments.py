"""The look of arguments in help texts: their values, and explanations without line breaks."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Annotated, TypeVar

from tyro.conf import Positional, arg

Function = TypeVar("Function", bound=Callable[..., None])

Folder = Annotated[Positional[str], arg(metavar="FOLDER")]
Folders = Annotated[Positional[tuple[str, ...]], arg(metavar="FOLDER ...", help_behavior_hint="")]
NewFile = Annotated[Positional[str], arg(metavar="FILE")]
GameNames = Annotated[Positional[tuple[str, ...]], arg(metavar="[GAME ...]", help_behavior_hint="")]

MaybeOne = Annotated[Positional[str | None], arg(metavar="[NAME]", help_behavior_hint="")]

# Options. If an option may be None, its explanation says what happens by default.
Flag = Annotated[bool, arg(help_behavior_hint="")]
Number = Annotated[int, arg(metavar="N")]
MaybeNumber = Annotated[int | None, arg(metavar="N", help_behavior_hint="")]
MaybeDecisions = Annotated[int | None, arg(metavar="DECISIONS", help_behavior_hint="")]
MaybeRounds = Annotated[int | None, arg(metavar="ROUNDS", help_behavior_hint="")]
MaybeSeconds = Annotated[float | None, arg(metavar="SECONDS", help_behavior_hint="")]
MaybeError = Annotated[float | None, arg(metavar="ERROR", help_behavior_hint="")]
File = Annotated[str, arg(metavar="FILE")]
MaybeFile = Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")]
MaybeFolder = Annotated[str | None, arg(metavar="FOLDER", help_behavior_hint="")]
Name = Annotated[str, arg(metavar="NAME")]
MaybeName = Annotated[str | None, arg(metavar="NAME", help_behavior_hint="")]
Names = Annotated[tuple[str, ...], arg(metavar="NAME ...", help_behavior_hint="")]
Files = Annotated[tuple[str, ...], arg(metavar="FILE ...", help_behavior_hint="")]
Imports = Annotated[
    tuple[str, ...], arg(name="import", metavar="MODULE ...", help_behavior_hint="")
]


def explained(function: Function) -> Function:
    """A command whose docstring has each paragraph and each argument on one line. Help texts are
    wrapped for the terminal and would keep the line breaks of the source."""
    function.__doc__ = unwrapped(inspect.cleandoc(function.__doc__))
    return function


def unwrapped(text: str) -> str:
    """Joins the lines of each paragraph and of each list item."""
    lines: list[str] = []
    for line in text.splitlines():
        before = lines[-1] if lines else ""
        indent = len(line) - len(line.lstrip())
        deeper = indent > len(before) - len(before.lstrip())
        ends = not before or not line or before.endswith("Args:")
        if ends or (not deeper and re.match(r" *\w+: ", line)) or (indent == 0 and line[-1] == ":"):
            lines.append(line)
        else:
            lines[-1] = f"{before} {line.strip()}"
    return "\n".join(lines)


def field_texts(config: type) -> dict[str, str]:
    """The docstring of each field of a dataclass and of its bases, on one line each."""
    texts: dict[str, str] = {}
    for owner in reversed(config.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0].body
        for field, text in zip(body, body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                texts[field.target.id] = " ".join(text.value.value.split())
    return texts
