"""Numbers as people read them, in tables and on pages: three significant digits."""

from __future__ import annotations

_ROUNDING = 1e-12
"""A number below this share of the payoffs' unit is a rounding error of zero."""


def three_digits(value: float, *, unit: float = 1.0, sign: bool = False) -> str:
    """`0.0729`, `12.3`, `1,235`, `6.67e-10`; with `sign`, `+0.0729`.

    Args:
        value: the number.
        unit: the largest payoff. It tells small numbers from rounding errors of zero.
        sign: whether a plus sign stands before positive numbers.
    """
    if abs(value) <= _ROUNDING * unit:
        return "0"
    plus = "+" if sign else ""
    if 1e-4 <= abs(value) < 999.5:
        return f"{value:{plus}#.3g}".removesuffix(".")
    if 999.5 <= abs(value) < 1e6:
        return f"{value:{plus},.0f}"
    mantissa, exponent = f"{value:{plus}.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def decimals(value: float, places: int = 6, *, unit: float) -> str:
    """`0.033308`: a number with this many decimals. If the payoffs' unit is too far from 1, or if a
    number that is not zero would show only zeros, it is written by `three_digits`."""
    text = f"{value:z.{places}f}"
    is_zero = abs(value) <= _ROUNDING * unit
    if 1e-3 <= unit < 1e9 and (is_zero or float(text) != 0):
        return text
    return three_digits(value, unit=unit)


def short(count: int) -> str:
    """A count: `999`, `4.2 k`, `420 M`."""
    for size, letter in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return str(count)


def percent(share: float) -> str:
    """`33.3 %`, with a no-break space."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def listed(words) -> str:
    """`a, b and c`"""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
