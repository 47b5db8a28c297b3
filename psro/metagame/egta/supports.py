"""Equilibria on given supports: all strategies of a population's support earn the same, and no
other earns more."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.optimize

from psro.metagame.egta.empirical import Empirical, regret

TOLERANCE = 1e-8
"""The largest regret of an equilibrium, as a share of the payoffs' span."""
MAX_SUPPORTS = 1_023
"""Supports are enumerated up to this number: all those of ten strategies."""
_STARTS = 4

Mixed = tuple[np.ndarray, ...]
Supports = tuple[tuple[int, ...], ...]


def supports_of(mixed: Sequence[np.ndarray]) -> Supports:
    """The strategies of each population that have weight."""
    return tuple(tuple(np.flatnonzero(own > 1e-9).tolist()) for own in mixed)


def on_supports(
    game: Empirical, supports: Supports, start: Sequence[np.ndarray], span: float
) -> Mixed | None:
    """The equilibrium with these supports to which Newton's method (MINPACK's hybrid) leads from
    `start`; None if it leads to none."""
    sizes = [len(own) for own in supports]
    bounds = np.cumsum([0, *sizes])

    def mixed_of(numbers: np.ndarray) -> list[np.ndarray]:
        mixed = []
        for size, own, first, last in zip(
            game.sizes, supports, bounds[:-1], bounds[1:], strict=True
        ):
            weights = np.zeros(size)
            weights[list(own)] = numbers[first:last]
            mixed.append(weights)
        return mixed

    def differences(numbers: np.ndarray) -> np.ndarray:
        mixed = mixed_of(numbers)
        values = game.values(mixed)
        parts = []
        for own, value, weights in zip(supports, values, mixed, strict=True):
            earned = value[list(own)] / span
            parts += [earned[1:] - earned[0], [weights.sum() - 1.0]]
        return np.concatenate(parts)

    begin = np.concatenate([s[list(own)] for s, own in zip(start, supports, strict=True)])
    if max(sizes) > 1:
        with np.errstate(all="ignore"):
            found = scipy.optimize.root(differences, begin, tol=1e-13)
        begin = found.x
    else:
        begin = np.ones(len(supports))
    if not np.isfinite(begin).all() or begin.min() < -1e-9:
        return None
    mixed = tuple(np.maximum(own, 0.0) for own in mixed_of(begin))
    if any(abs(own.sum() - 1) > 1e-6 for own in mixed):
        return None
    mixed = tuple(own / own.sum() for own in mixed)
    return mixed if regret(game, mixed) <= TOLERANCE * span else None


def near(
    game: Empirical, mixed: Sequence[np.ndarray], span: float
) -> tuple[Mixed, bool] | tuple[None, bool]:
    """An equilibrium near a profile, on its supports, or on those with one strategy more or fewer;
    and whether it has its supports."""
    own = supports_of(mixed)
    found = on_supports(game, own, mixed, span)
    if found is not None:
        return found, True
    for supports in _neighbours(own, game.sizes):
        start = [_uniform(size, chosen) for size, chosen in zip(game.sizes, supports, strict=True)]
        start = [0.9 * a + 0.1 * b for a, b in zip(mixed, start, strict=True)]
        found = on_supports(game, supports, start, span)
        if found is not None:
            return found, False
    return None, False


def _neighbours(supports: Supports, sizes: Sequence[int]) -> Iterator[Supports]:
    for p, own in enumerate(supports):
        for k in range(sizes[p]):
            changed = sorted({*own} ^ {k})
            if changed:
                yield (*supports[:p], tuple(changed), *supports[p + 1 :])


def _uniform(size: int, chosen: Sequence[int]) -> np.ndarray:
    weights = np.zeros(size)
    weights[list(chosen)] = 1.0 / len(chosen)
    return weights


def symmetric_equilibria(game: Empirical, span: float) -> tuple[list[Mixed], bool]:
    """Symmetric equilibria of a game of one population, and whether every support was tried. Where
    there are too many supports, the ends of replicator dynamics from many starts are polished.
    """
    (size,) = game.sizes
    rng, result = np.random.default_rng(0), []
    complete = 2**size - 1 <= MAX_SUPPORTS
    if complete:
        supports = [
            chosen
            for count in range(1, size + 1)
            for chosen in itertools.combinations(range(size), count)
        ]
    else:
        ends = [replicated(game, rng.dirichlet(np.ones(size)), span) for _ in range(16)]
        supports = list(dict.fromkeys(tuple(np.flatnonzero(end > 1e-4).tolist()) for end in ends))
    for chosen in supports:
        for start in range(_STARTS if len(chosen) > 1 else 1):
            weights = _uniform(size, chosen)
            if start:
                weights[list(chosen)] = rng.dirichlet(np.ones(len(chosen)))
            found = on_supports(game, (chosen,), (weights,), span)
            if found is not None and not any(
                np.abs(found[0] - known[0]).max() < 1e-6 for known in result
            ):
                result.append(found)
    return result, complete


def replicated(game: Empirical, start: np.ndarray, span: float, steps: int = 4_000) -> np.ndarray:
    """The end of discrete replicator dynamics from a mixture."""
    mixed = start
    for _ in range(steps):
        (value,) = game.values((mixed,))
        mixed = mixed * np.exp((value - mixed @ value) / span)
        mixed = mixed / mixed.sum()
    return mixed
