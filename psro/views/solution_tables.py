"""What `psro solve` prints for people."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import rich.console
from rich.markup import escape

from games.named import Named
from games.printing import printable
from psro.exact.details import details
from psro.metagame.solve import Equilibrium, Solved
from psro.views import solution_beliefs, tables
from psro.views.numbers import three_digits

MOST_SHOWN = 20
"""Equilibria, rows of a joint, and info states of a player that are printed; --json has all."""

_MOST_DENOMINATOR = 10_000


def number(value: float, exact: Fraction | None = None) -> str:
    """A probability or a payoff: the fraction if it is a short one, else four digits."""
    if exact is not None and exact.denominator <= _MOST_DENOMINATOR:
        return str(exact)
    if abs(value - round(value)) < 1e-12:
        return str(round(value))
    return f"{value:.4f}" if 5e-5 <= abs(value) < 1e6 else three_digits(value)


def print_solved(solved: Solved, out: rich.console.Console) -> None:
    """Prints all solutions as tables."""
    named = Named(solved.tree)
    out.print(tables.title(solved.tree.name).append(f"  {solved.concept}", "not bold"))
    out.print(solved.method, highlight=False, markup=False)
    if solved.elimination is not None:
        _print_elimination(solved, named, out)
    several = len(solved.equilibria) > 1
    for count, one in enumerate(solved.equilibria[:MOST_SHOWN], 1):
        heading = f"\nEquilibrium {count} of {len(solved.equilibria)}" if several else ""
        if heading and one.component is not None:
            heading += f", component {one.component + 1}"
        if heading:
            out.print(heading, highlight=False)
        if one.precision is not None:
            out.print(f"lambda = {one.precision:.6g}", highlight=False)
        _print_payoffs(solved, one, named, out)
        if one.joint is not None:
            _print_joint(solved, one, named, out)
        elif named.is_one_shot:
            _print_strategies(one, named, out)
        else:
            _print_info_states(solved, one, named, out)
            listed = solution_beliefs.listed_nodes(solved.tree)
            for line in solution_beliefs.sentences(named, listed, one) if listed else ():
                out.print(line, highlight=False, markup=False)
    if len(solved.equilibria) > MOST_SHOWN:
        out.print(f"... and {len(solved.equilibria) - MOST_SHOWN} more; --json has all")
    tables.print_notes(out, solved.notes)


def _print_payoffs(
    solved: Solved, one: Equilibrium, named: Named, out: rich.console.Console
) -> None:
    exact = one.exact_payoffs or [None] * len(named.players)
    paid = ", ".join(
        f"{name} {number(value, fraction)}"
        for name, value, fraction in zip(named.players, one.payoffs, exact, strict=True)
    )
    certificate = (
        "exact" if one.is_exact else f"largest gain by deviating {three_digits(one.regret)}"
    )
    out.print(f"payoffs: {paid}  ({certificate})", highlight=False, markup=False)


def _quoted(name: str) -> str:
    """A name in a line of several: in quotes if it holds a comma, or ends in a number of its own,
    which would be read as its probability."""
    return f'"{name}"' if re.search(r",|\s[-+.\d/]+$", name) else name


def _print_strategies(one: Equilibrium, named: Named, out: rich.console.Console) -> None:
    """The strategies of a one-shot game: a row for each player."""
    for p, name in enumerate(named.players):
        exact = one.exact_behaviours[p] if one.exact_behaviours else [None] * len(one.behaviours[p])
        played = [
            f"{_quoted(named.actions[p][s])} {number(share, exact[s])}"
            for s, share in enumerate(one.behaviours[p])
            if s and share > 0
        ]
        out.print(f"  {name}: {', '.join(played)}", highlight=False, markup=False)


def _print_info_states(
    solved: Solved, one: Equilibrium, named: Named, out: rich.console.Console
) -> None:
    """The behaviour at every info state, with values and regrets: a row for each action."""
    for p, measured in enumerate(details(solved.tree, one.behaviours)):
        own, exact = solved.tree.players[p], one.exact_behaviours and one.exact_behaviours[p]
        rows = tables.table("info set", "action", "probability", "reach", "value", "regret")
        rows.columns[1].justify = "left"
        order = np.argsort(-measured.reach, kind="stable")[:MOST_SHOWN]
        for i in order:
            first, end = own.first_sequence[i : i + 2]
            for s in range(first, end):
                share = number(one.behaviours[p][s], exact[s] if exact is not None else None)
                begins = s == first
                rows.add_row(
                    escape(named.info_states[p][i]) if begins else "",
                    escape(named.actions[p][s]),
                    share,
                    three_digits(measured.reach[i]) if begins else "",
                    _or_dash(measured.action_value[s]),
                    _or_dash(measured.regret[i]) if begins else "",
                )
        out.print(f"\n{named.players[p]}", highlight=False, markup=False)
        out.print(rows)
        if own.num_info_states > MOST_SHOWN:
            left = own.num_info_states - MOST_SHOWN
            out.print(f"... and {left:,} info sets that are reached less; --json has all")


def _or_dash(value: float) -> str:
    return "–" if np.isnan(value) else number(value)


def _print_joint(solved: Solved, one: Equilibrium, named: Named, out: rich.console.Console) -> None:
    """The likeliest profiles of a joint distribution."""
    rows = tables.table(*map(escape, named.players), "probability")
    for column in rows.columns[:-1]:
        column.justify = "left"
    drawn = profiles(solved, one, named)
    for names, share in drawn[:MOST_SHOWN]:
        rows.add_row(*map(escape, names), number(share))
    out.print(rows)
    if len(drawn) > MOST_SHOWN:
        out.print(f"... and {len(drawn) - MOST_SHOWN} less likely profiles; --json has all")


def profiles(solved: Solved, one: Equilibrium, named: Named) -> list[tuple[tuple[str, ...], float]]:
    """The profiles of a joint that have a probability, the likeliest first: the names of all
    players' strategies, and the probability."""
    flat = one.joint.ravel()
    order = np.argsort(-flat, kind="stable")
    return [
        (
            tuple(
                printable(named.strategy(p, solved.plans[p][k]))
                for p, k in enumerate(np.unravel_index(place, one.joint.shape))
            ),
            float(flat[place]),
        )
        for place in order[: int(np.count_nonzero(flat > 1e-12))]
    ]


def _print_elimination(solved: Solved, named: Named, out: rich.console.Console) -> None:
    for count, gone in enumerate(solved.elimination.rounds, 1):
        said = ", ".join(
            f"{_quoted(named.strategy(d.player, solved.plans[d.player][d.strategy]))} of "
            f"{named.players[d.player]}"
            for d in gone[:MOST_SHOWN]
        )
        more = f" and {len(gone) - MOST_SHOWN} more" if len(gone) > MOST_SHOWN else ""
        out.print(f"round {count}: {said}{more}", highlight=False, markup=False)
    for p, left in enumerate(solved.elimination.left):
        kept = [_quoted(named.strategy(p, solved.plans[p][k])) for k in left[:MOST_SHOWN]]
        said = ", ".join(kept)
        more = f" and {len(left) - MOST_SHOWN} more" if len(left) > MOST_SHOWN else ""
        out.print(
            f"  {named.players[p]} keeps {len(left)} of {len(solved.plans[p])}: {said}{more}",
            highlight=False,
            markup=False,
        )
