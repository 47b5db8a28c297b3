"""What `psro solve` found, as the document of a page (`psro.views.page.document`)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np

from games.named import Named
from games.printing import printable
from games.readers import files
from psro.exact.details import details
from psro.metagame.solve import Equilibrium, Solved
from psro.views import solution_beliefs
from psro.views.numbers import three_digits
from psro.views.page.figures import COLOURS, Figure, axis, plain
from psro.views.solution_tables import MOST_SHOWN, number, profiles
from psro.views.tree_drawing import DrawingError, svg

Document = dict[str, Any]
_FOLDED = 3
"""Equilibria whose strategies are open from the start."""
_MOST_CURVES = 16
"""Actions whose probabilities are drawn along the logit correspondence."""


def document(solved: Solved) -> Document:
    """The payoffs of all solutions, each one's strategies, the tree, and the path, by name."""
    named, name = Named(solved.tree), solved.tree.name
    sections = []
    if solved.equilibria:
        sections += [_payoffs(solved, named), _strategies(solved, named)]
    if solved.elimination is not None:
        sections.append(_left(solved, named))
    if solved.path is not None:
        sections.append(_path(solved, named))
    sections += _tree(solved)
    return {
        "title": printable(Path(name).name if files.is_file(name) else name),
        "subtitle": f"Solved: {solved.concept}, by {solved.method}",
        "facts": _facts(solved, named),
        "sections": sections,
    }


def _facts(solved: Solved, named: Named) -> list[dict[str, str]]:
    tree = solved.tree
    facts = [
        {
            "label": "players",
            "value": str(len(named.players)),
            "note": printable(", ".join(named.players[:6])),
        },
        {
            "label": "info sets",
            "value": f"{sum(own.num_info_states for own in tree.players):,}",
            "note": f"{tree.num_histories:,} histories",
        },
    ]
    if solved.equilibria:
        count = len(solved.equilibria)
        note = "all that were asked for" if solved.complete else "there may be more"
        facts.append({"label": "solutions", "value": str(count), "note": note})
        exact = sum(one.is_exact for one in solved.equilibria)
        worst = max(one.regret for one in solved.equilibria)
        facts.append(
            {"label": "certified", "value": f"{exact} of {count}", "note": "in exact arithmetic"}
            if exact
            else {"label": "largest regret", "value": three_digits(worst), "note": "of a solution"}
        )
    return facts


def _section(name: str, title: str, text: str, **parts: Any) -> dict[str, Any]:
    return {"id": name, "title": title, "text": text, "figures": [], "tables": [], **parts}


def _payoffs(solved: Solved, named: Named) -> dict[str, Any]:
    """A row for each solution."""
    rows = []
    for count, one in enumerate(solved.equilibria, 1):
        exact = one.exact_payoffs or [None] * len(named.players)
        paid = [number(value, own) for value, own in zip(one.payoffs, exact, strict=True)]
        rows.append([str(count), *paid, "0, exactly" if one.is_exact else three_digits(one.regret)])
    players = [printable(name) for name in named.players]
    table = {
        "id": "payoffs",
        "title": "",
        "columns": ["solution", *players, "regret"],
        "rows": rows,
        "note": "Regret is the most that a player could gain by deviating alone.",
    }
    text = " ".join(f"{note[0].upper()}{note[1:].rstrip('.')}." for note in solved.notes)
    return _section("payoffs", "Payoffs", text, tables=[table])


def _strategies(solved: Solved, named: Named) -> dict[str, Any]:
    """A table for each solution."""
    listed = solution_beliefs.listed_nodes(solved.tree)
    tables = []
    for count, one in enumerate(solved.equilibria[:MOST_SHOWN], 1):
        if one.joint is not None:
            columns = [*map(printable, named.players), "probability"]
            rows = [[*names, number(share)] for names, share in profiles(solved, one, named)]
            said: list[str] = []
        else:
            columns, rows = _actions(solved, one, named)
            shown = listed and not named.is_one_shot
            said = solution_beliefs.sentences(named, listed, one) if shown else []
        words = f"λ = {one.precision:.6g}. " if one.precision is not None else ""
        table = {
            "id": f"solution-{count}",
            "title": f"Solution {count}" if len(solved.equilibria) > 1 else "",
            "columns": columns,
            "rows": rows,
            "note": printable((words + "; ".join(said)).replace("\xa0", " ")),
        }
        if count > _FOLDED:
            table["folded"] = f"Solution {count}"
        tables.append(table)
    more = len(solved.equilibria) - MOST_SHOWN
    text = f"{more} more solutions are in the JSON and CSV files." if more > 0 else ""
    return _section("strategies", "Strategies", text, tables=tables)


def _actions(solved: Solved, one: Equilibrium, named: Named) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a row for each action, the info sets that are reached most first."""
    columns = ["player", "info set", "action", "probability", "reach", "value", "regret"]
    if named.is_one_shot:
        columns.remove("info set")
    rows = []
    for p, measured in enumerate(details(solved.tree, one.behaviours)):
        own, exact = solved.tree.players[p], one.exact_behaviours and one.exact_behaviours[p]
        for i in np.argsort(-measured.reach, kind="stable")[:MOST_SHOWN]:
            for s in range(*own.first_sequence[i : i + 2]):
                share = number(one.behaviours[p][s], None if exact is None else exact[s])
                places = [named.players[p], named.info_states[p][i], named.actions[p][s]]
                if named.is_one_shot:
                    del places[1]
                measures = measured.reach[i], measured.action_value[s], measured.regret[i]
                shown = ["–" if np.isnan(value) else number(value) for value in measures]
                rows.append([*map(printable, places), share, *shown])
    return columns, rows


def _left(solved: Solved, named: Named) -> dict[str, Any]:
    """What iterated dominance leaves."""
    rows = [
        [
            printable(named.players[p]),
            f"{len(left)} of {len(solved.plans[p])}",
            printable(", ".join(named.strategy(p, solved.plans[p][k]) for k in left[:MOST_SHOWN])),
        ]
        for p, left in enumerate(solved.elimination.left)
    ]
    table = {
        "id": "left",
        "title": "",
        "columns": ["player", "strategies left", "names"],
        "rows": rows,
        "note": f"After {len(solved.elimination.rounds)} rounds of elimination.",
    }
    return _section("left", "Rationalizable strategies", "", tables=[table])


def _path(solved: Solved, named: Named) -> dict[str, Any]:
    figure = {"id": "path", "title": "", "views": {"": _curves(solved, named)}}
    text = (
        "The principal branch of the logit correspondence, from uniform play on. λ is in units of "
        "1 / payoff, as in Gambit."
    )
    return _section("path", "Quantal response", text, figures=[figure])


def _curves(solved: Solved, named: Named) -> Figure:
    """Probabilities of actions against λ, of the info sets that the end of the path reaches
    most."""
    path = [(precision, behaviours) for precision, behaviours in solved.path if precision > 0]
    reached = sorted(
        (-float(own.reach[i]), p, i)
        for p, own in enumerate(details(solved.tree, path[-1][1]))
        for i in range(len(own.reach))
    )
    curves = [
        (p, i, s)
        for _, p, i in reached
        for s in range(*solved.tree.players[p].first_sequence[i : i + 2])
    ][:_MOST_CURVES]
    traces = []
    for place, (p, i, s) in enumerate(curves):
        where = "" if named.is_one_shot else f", {named.info_states[p][i]}"
        name = f"{named.players[p]}{where}: {named.actions[p][s]}"
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plain(printable(name)),
                "x": [precision for precision, _ in path],
                "y": [float(behaviours[p][s]) for _, behaviours in path],
                "line": {
                    "color": COLOURS[place % len(COLOURS)],
                    "dash": "solid" if place < len(COLOURS) else "dash",
                },
            }
        )
    layout = {
        "xaxis": axis("λ", type="log"),
        "yaxis": axis("probability", range=[-0.02, 1.02]),
        "height": 420,
    }
    return {"data": traces, "layout": layout}


def _tree(solved: Solved) -> list[dict[str, Any]]:
    """The drawn tree with the first solution, where the game is small enough to be read."""
    first = solved.equilibria[0].behaviours if solved.equilibria else None
    try:
        drawn = svg(solved.tree, first)
    except DrawingError:
        return []
    image = {
        "id": "tree",
        "title": "",
        "source": f"data:image/svg+xml;base64,{base64.b64encode(drawn.encode()).decode()}",
        "alt": "The game's tree; the table of strategies has the same names and probabilities.",
    }
    text = "Names of actions on the branches" + (
        ", and probabilities of the first solution." if first is not None else "."
    )
    return [_section("tree", "The game", text, images=[image])]
