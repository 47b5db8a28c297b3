"""Text from strangers is shown, not obeyed."""

import pytest

from games.printing import printable


@pytest.mark.parametrize(
    "text, shown",
    [
        ("Alice with König", "Alice with König"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("two\nlines\t", r"two\nlines\t"),
        ("right \u202e to left", r"right \u202e to left"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("not UTF-8 \udcff", r"not UTF-8 \udcff"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, shown):
    assert printable(text) == shown
    assert printable(text).isprintable()
