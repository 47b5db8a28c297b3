"""Meta-solvers: payoffs `[P, K_0, ..., K_{P-1}]` to a meta-strategy.

A product solver returns one distribution `[K_p]` per player; policies are drawn independently. A
joint solver returns one distribution `[K_0, ..., K_{P-1}]` over profiles. A solver is one file and
one entry in `META_SOLVERS`. Its settings are keyword arguments, annotated by `settings`.
`meta_solver` reads them from a string such as "projected_replicator(gamma=0.05)".
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import numpy as np

from psro.metagame.solvers.alpha_rank import alpha_rank
from psro.metagame.solvers.alpha_rank_single import alpha_rank_single
from psro.metagame.solvers.fictitious_play import fictitious_play
from psro.metagame.solvers.hedge import hedge
from psro.metagame.solvers.last import last
from psro.metagame.solvers.last_k import last_k
from psro.metagame.solvers.mecce import mecce
from psro.metagame.solvers.mece import mece
from psro.metagame.solvers.mgcce import mgcce
from psro.metagame.solvers.mgce import mgce
from psro.metagame.solvers.mwcce import mwcce
from psro.metagame.solvers.mwce import mwce
from psro.metagame.solvers.nash import nash
from psro.metagame.solvers.projected_replicator import projected_replicator
from psro.metagame.solvers.qre import qre
from psro.metagame.solvers.regret import (
    MetaSolverError,
    cce_gains,
    ce_gains,
    joint_of,
    marginals,
    regrets,
)
from psro.metagame.solvers.regret_matching import regret_matching
from psro.metagame.solvers.regularized_replicator import regularized_replicator
from psro.metagame.solvers.replicator import replicator
from psro.metagame.solvers.settings import Rule
from psro.metagame.solvers.suffix_average import suffix_average
from psro.metagame.solvers.uniform import uniform

Solution = list[np.ndarray] | np.ndarray
"""A product: one distribution `[K_p]` per player; or a joint: `[K_0, ..., K_{P-1}]`."""

MetaSolver = Callable[[np.ndarray], Solution]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solver:
    """A meta-solver, with what it needs and what it returns.

    Attributes:
        function: payoffs `[P, K_0, ..., K_{P-1}]` to a meta-strategy.
        concept: the equilibrium of the meta-game that all results are, within the solver's
            tolerance. None if results are no equilibrium, or only in some games. It decides which
            gap is measured.
        joint: whether results are joints; otherwise they are products.
        num_players: the number of players that it needs; None for any number.
        symmetric: whether it needs a symmetric game with one population.
        zero_sum: whether it needs payoffs that add up to a constant.
    """

    function: MetaSolver
    concept: Literal["nash", "ce", "cce"] | None = None
    joint: bool = False
    num_players: int | None = None
    symmetric: bool = False
    zero_sum: bool = False

    def __call__(self, payoffs: np.ndarray) -> Solution:
        return self.function(payoffs)


META_SOLVERS: dict[str, Solver] = {
    "nash": Solver(function=nash, concept="nash", num_players=2),
    "uniform": Solver(function=uniform),
    "last": Solver(function=last),
    "last_k": Solver(function=last_k),
    "suffix_average": Solver(function=suffix_average),
    "fictitious_play": Solver(function=fictitious_play),
    "regret_matching": Solver(function=regret_matching),
    "hedge": Solver(function=hedge),
    "replicator": Solver(function=replicator),
    "projected_replicator": Solver(function=projected_replicator),
    "regularized_replicator": Solver(function=regularized_replicator),
    "qre": Solver(function=qre),
    "alpha_rank": Solver(function=alpha_rank, joint=True),
    "alpha_rank_single": Solver(function=alpha_rank_single, num_players=2, symmetric=True),
    "mgcce": Solver(function=mgcce, concept="cce", joint=True),
    "mgce": Solver(function=mgce, concept="ce", joint=True),
    "mwcce": Solver(function=mwcce, concept="cce", joint=True),
    "mwce": Solver(function=mwce, concept="ce", joint=True),
    "mecce": Solver(function=mecce, concept="cce", joint=True),
    "mece": Solver(function=mece, concept="ce", joint=True),
}


def meta_solver(text: str, known: Mapping[str, Solver] = META_SOLVERS) -> Solver:
    """A meta-solver by its name. Settings stand in brackets, as in OpenSpiel's game strings:
    "nash", "projected_replicator(gamma=0.05,iterations=5000)".

    Raises:
        MetaSolverError: no such solver among `known`, no such setting, or a value that is not
            allowed.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(?:\((.*)\))?\s*", text)
    if not match:
        raise MetaSolverError(f"meta-solver {text!r} must be a name or name(setting=value,...)")
    name, inside = match.groups()
    if name not in known:
        raise MetaSolverError(f"unknown meta-solver {name!r}; {_known(name, known)}")
    solver = known[name]
    settings = {}
    for part in (inside or "").split(",") if inside and inside.strip() else ():
        setting, equals, value = (word.strip() for word in part.partition("="))
        if not equals or setting in settings:
            raise MetaSolverError(
                f"meta-solver {text!r} must give each setting once, as {name}(setting=value,...)"
            )
        settings[setting] = _setting(name, solver, setting, value)
    return dataclasses.replace(solver, function=functools.partial(solver.function, **settings))


def settings_of(solver: Solver) -> dict[str, tuple[type, Rule]]:
    """The settings of a solver: the type and the rule for the values of each."""
    hints = typing.get_type_hints(solver.function, include_extras=True)
    return {
        name: typing.get_args(hint)
        for name, hint in hints.items()
        if typing.get_origin(hint) is typing.Annotated
    }


def _setting(solver_name: str, solver: Solver, name: str, text: str) -> float:
    known = settings_of(solver)
    if name not in known:
        which = _known(name, known) if known else "it has none"
        raise MetaSolverError(f"meta-solver {solver_name} has no setting {name!r}; {which}")
    kind, rule = known[name]
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not rule.allows(value):
        what = "a whole number" if kind is int else "a number"
        raise MetaSolverError(
            f"{name} = {text} of meta-solver {solver_name} must be {what}, {rule.words}"
        )
    return value


def _known(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"{f'did you mean {near[0]}? ' if near else ''}known: {', '.join(names)}"


__all__ = [
    "META_SOLVERS",
    "MetaSolver",
    "MetaSolverError",
    "Solution",
    "Solver",
    "cce_gains",
    "ce_gains",
    "joint_of",
    "marginals",
    "meta_solver",
    "nash",
    "regrets",
    "settings_of",
    "uniform",
]
