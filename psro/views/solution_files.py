"""What `psro solve` writes for programs and papers: JSON, CSV and LaTeX, all by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from games.named import Named
from games.readers.labels import distinct
from games.writers import gambit
from psro.exact.beliefs import outcomes
from psro.exact.details import details
from psro.metagame.solve import Equilibrium, Solved, SolveError
from psro.metagame.solve.nash import strategic_form
from psro.views import solution_beliefs
from psro.views.solution_tables import number, profiles


def as_json(solved: Solved) -> dict[str, Any]:
    """Everything. `equilibria` is a list of `{"strategies", "payoffs", ...}`, with probabilities by
    the names of players, info sets and actions; payoffs are in the order of `players`."""
    named = Named(solved.tree)
    result: dict[str, Any] = {
        "game": solved.tree.name,
        "concept": solved.concept,
        "method": solved.method,
        "complete": solved.complete,
        "players": list(named.players),
        "equilibria": [_equilibrium(solved, one, named) for one in solved.equilibria],
        "notes": list(solved.notes),
    }
    if solved.elimination is not None:
        result |= _elimination(solved, named)
    if solved.path is not None:
        result["path"] = [
            {"lambda": precision, "strategies": _plain(named.by_name(behaviours))}
            for precision, behaviours in solved.path
        ]
    return result


def _equilibrium(solved: Solved, one: Equilibrium, named: Named) -> dict[str, Any]:
    result: dict[str, Any] = {
        "payoffs": one.payoffs.tolist(),
        "regret": one.regret,
        "exact": one.is_exact,
    }
    if one.exact_payoffs is not None:
        result["exact_payoffs"] = list(map(str, one.exact_payoffs))
    if one.component is not None:
        result["component"] = one.component
    if one.precision is not None:
        result["lambda"] = one.precision
    if one.joint is not None:
        result["profiles"] = [
            {"strategies": dict(zip(named.players, names, strict=True)), "probability": share}
            for names, share in profiles(solved, one, named)
        ]
        return result
    result["strategies"] = _plain(named.by_name(one.behaviours))
    if one.exact_behaviours is not None:
        result["exact_strategies"] = _plain(named.by_name(one.exact_behaviours), str)
    listed = solution_beliefs.listed_nodes(solved.tree)
    if listed and (known := outcomes(solved.tree, listed, one.behaviours)):
        result["outcomes"] = known
    if not named.is_one_shot:
        result["info_sets"] = info_sets(solved, one, named)
        if listed:
            _add_beliefs(result["info_sets"], solved, listed, one)
    return result


def _add_beliefs(rows: list[dict[str, Any]], solved: Solved, listed: list, one: Equilibrium):
    """Adds `beliefs` to the rows of info sets with several histories."""
    keys = [(p, i) for p, own in enumerate(solved.tree.players) for i in range(own.num_info_states)]
    known = solution_beliefs.of_equilibrium(solved.tree, listed, one)
    for key, row in zip(keys, rows, strict=True):
        if key in known:
            row["beliefs"] = known[key]


def info_sets(solved: Solved, one: Equilibrium, named: Named) -> list[dict[str, Any]]:
    """Every info set: its player, name, reach, value and regret, and each action's probability and
    value. What is not defined, because the others never lead there, is null."""
    rows = []
    for p, measured in enumerate(details(solved.tree, one.behaviours)):
        own = solved.tree.players[p]
        for i, name in enumerate(named.info_states[p]):
            first, end = own.first_sequence[i : i + 2]
            rows.append(
                {
                    "player": named.players[p],
                    "info_set": name,
                    "reach": float(measured.reach[i]),
                    "value": _or_none(measured.value[i]),
                    "regret": _or_none(measured.regret[i]),
                    "actions": {
                        named.actions[p][s]: {
                            "probability": float(one.behaviours[p][s]),
                            "value": _or_none(measured.action_value[s]),
                        }
                        for s in range(first, end)
                    },
                }
            )
    return rows


def _elimination(solved: Solved, named: Named) -> dict[str, Any]:
    def name(p: int, k: int) -> str:
        return named.strategy(p, solved.plans[p][k])

    return {
        "left": {
            named.players[p]: [name(p, k) for k in left]
            for p, left in enumerate(solved.elimination.left)
        },
        "eliminated": [
            [
                {
                    "player": named.players[d.player],
                    "strategy": name(d.player, d.strategy),
                    "by": {name(d.player, k): str(w) for k, w in enumerate(d.by) if w},
                }
                for d in gone
            ]
            for gone in solved.elimination.rounds
        ],
    }


def _plain(values: Any, kind: type = float) -> Any:
    """Nested dicts with numbers that JSON has."""
    if isinstance(values, dict):
        return {name: _plain(value, kind) for name, value in values.items()}
    return None if values is None else kind(values)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def columns(solved: Solved) -> dict[str, list]:
    """The columns of a CSV file: a row for each action of each equilibrium, or for each profile of
    a joint, or for each strategy that is left."""
    named = Named(solved.tree)
    rows: list[dict[str, Any]] = []
    for count, one in enumerate(solved.equilibria, 1):
        if one.joint is not None:
            for names, share in profiles(solved, one, named):
                rows.append(
                    {
                        "equilibrium": count,
                        **dict(zip(named.players, names, strict=True)),
                        "probability": share,
                    }
                )
            continue
        rows += _action_rows(solved, one, named, count)
    if solved.elimination is not None:
        for p, left in enumerate(solved.elimination.left):
            rows += [
                {"player": named.players[p], "strategy": named.strategy(p, solved.plans[p][k])}
                for k in left
            ]
    names = list(rows[0]) if rows else []
    return {name: [row[name] for row in rows] for name in names}


def _action_rows(
    solved: Solved, one: Equilibrium, named: Named, count: int
) -> list[dict[str, Any]]:
    rows = []
    for p, measured in enumerate(details(solved.tree, one.behaviours)):
        own, exact = solved.tree.players[p], one.exact_behaviours and one.exact_behaviours[p]
        for s in range(1, own.num_sequences):
            i, fraction = own.info_state[s], None if exact is None else exact[s]
            rows.append(
                {
                    "equilibrium": count,
                    "player": named.players[p],
                    "payoff": one.payoffs[p],
                    "info set": named.info_states[p][i],
                    "action": named.actions[p][s],
                    "probability": one.behaviours[p][s],
                    "exact": "" if fraction is None else str(fraction),
                    "reach": measured.reach[i],
                    "value": measured.action_value[s],
                    "regret": measured.regret[i],
                }
            )
    return rows


def nfg(solved: Solved) -> str:
    """The reduced strategic form as Gambit's `.nfg`, with exact payoffs."""
    named = Named(solved.tree)
    plans, table = strategic_form(solved.tree)
    strategies = [
        distinct(
            [named.strategy(p, plan) for plan in own], [str(k) for k in range(1, len(own) + 1)]
        )
        for p, own in enumerate(plans)
    ]
    return gambit.nfg(solved.tree.name, named.players, strategies, table)


def profile(solved: Solved) -> str:
    """A line for each equilibrium, as Gambit's programs print behaviour profiles of the `.efg` that
    is written beside it; of a one-shot game they are also those of its `.nfg`."""
    lines = []
    for one in solved.equilibria:
        if one.behaviours is None:
            raise SolveError(f"{solved.concept} has no profile: players draw together")
        exact = one.exact_behaviours or one.behaviours
        both = [
            [share if share is not None else own for share, own in zip(e, b, strict=True)]
            for e, b in zip(exact, one.behaviours, strict=True)
        ]
        lines.append(gambit.profile(both))
    return "\n".join([*lines, ""])


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip


def latex_text(text: str) -> str:
    """A name in LaTeX: nothing in it is a command."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


def latex(solved: Solved) -> str:
    """A `tabular` with a row for each action that is played, in fractions where they are exact."""
    named = Named(solved.tree)
    if any(one.joint is not None for one in solved.equilibria) or not solved.equilibria:
        return _latex_columns(columns(solved))
    lines = []
    for count, one in enumerate(solved.equilibria, 1):
        exact = one.exact_payoffs or [None] * len(named.players)
        for p, name in enumerate(named.players):
            paid, fractions = one.payoffs[p], one.exact_behaviours and one.exact_behaviours[p]
            own = solved.tree.players[p]
            for s in np.flatnonzero(one.behaviours[p] > 0):
                if s:
                    share = number(
                        one.behaviours[p][s], None if fractions is None else fractions[s]
                    )
                    cells = [str(count), name, number(paid, exact[p])]
                    if not named.is_one_shot:
                        cells.append(named.info_states[p][own.info_state[s]])
                    lines.append([*cells, named.actions[p][s], share])
        lines.append([])
    titles = ["", "player", "payoff", "action", "probability"]
    if not named.is_one_shot:
        titles.insert(3, "info set")
    return _tabular(titles, lines[:-1])


def _latex_columns(texts: dict[str, list]) -> str:
    rows = [
        [cell if isinstance(cell, str) else number(cell) if isinstance(cell, float) else str(cell)
         for cell in row]
        for row in zip(*texts.values(), strict=True)
    ]  # fmt: skip
    return _tabular(list(texts), rows)


def _tabular(titles: list[str], rows: list[list[str]]) -> str:
    """Rows of texts as a `tabular`; an empty row is a line across."""
    lines = [
        r"\begin{tabular}{" + "l" * len(titles) + "}",
        r"\hline",
        " & ".join(map(latex_text, titles)) + r" \\",
        r"\hline",
    ]
    for row in rows:
        lines.append(" & ".join(map(latex_text, row)) + r" \\" if row else r"\hline")
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])
