"""Progress in a notebook: one bar that moves, instead of a line for each iteration."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Mapping


def bar(iterations: int) -> Callable[[int, Mapping[str, str]], None] | None:
    """What shows an iteration and its facts in a bar of this many; None outside of a notebook,
    where nothing draws HTML."""
    interactive = sys.modules.get("IPython")  # it is loaded, if this is a notebook
    shell = interactive and interactive.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    from IPython.display import HTML, display

    shown = None

    def show(iteration: int, facts: Mapping[str, str]) -> None:
        nonlocal shown
        said = ", ".join(f"{name} {fact}" for name, fact in facts.items())
        drawn = HTML(
            f"<progress value='{iteration}' max='{max(iterations, 1)}'></progress> "
            f"iteration {iteration} of {iterations}: {html.escape(said)}"
        )
        if shown is None:
            shown = display(drawn, display_id=True)
        else:
            shown.update(drawn)

    return show
