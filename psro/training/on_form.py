"""The evaluator of games of two players that are known by a `Form` but are not enumerated: exact.

Best responses train by episodes. A finished policy is tabulated at all own info states, and one
pass over the game gives what both players' sequences gain against each other's new policy. From
these vectors everything else follows (`psro.metagame.form_meta_game`).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from typing import ClassVar, Protocol

import jax
import numpy as np

from games.form import Form
from psro import exact
from psro.exact.passes import Pass
from psro.metagame.form_meta_game import FormMetaGame
from psro.metagame.joint_gaps import CorrelatedGap
from psro.metagame.strategy import MetaStrategy
from psro.metagame.target import Target, target_on_form
from psro.policies.policy import Params
from psro.policies.population import Population
from psro.policies.tabulation import ChunkedTabulator
from psro.training.evaluators import FromExactPolicies, Lap


class Shelf(Protocol):
    """Where vectors are kept, by a name that depends on the policy alone."""

    def find(self, name: str, size: int) -> np.ndarray | None:
        """The vector of this name, float32 `[size]`; None if it is not there."""
        ...

    def keep(self, name: str, vector: np.ndarray) -> np.ndarray:
        """Keeps a vector, float32, and returns it as `find` will."""
        ...


class InMemory:
    """Keeps nothing beyond the vectors that are in use."""

    def find(self, name: str, size: int) -> np.ndarray | None:
        return None

    def keep(self, name: str, vector: np.ndarray) -> np.ndarray:
        return vector


class PolicyVectors:
    """One player's policy as `Vectors`: from the shelf, or computed when they are first needed.

    Args:
        evaluator: computes them.
        player: whose policy it is.
        params: its parameters, leaves `[...]`.
    """

    def __init__(self, evaluator: FormEvaluator, player: int, params: Params):
        self._evaluator, self._player, self._params = evaluator, player, params

    @functools.cached_property
    def name(self) -> str:
        """Its name on the shelf: the player, and a digest of the form and the parameters."""
        digest = hashlib.sha256(self._evaluator.fingerprint)
        for path, leaf in jax.tree.leaves_with_path(self._params):
            array = np.asarray(leaf)
            digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape} ".encode())
            digest.update(array.tobytes())
        return f"{self._player}-{digest.hexdigest()[:32]}"

    @functools.cached_property
    def plan(self) -> np.ndarray:
        kept = self.kept("plan")
        return self.keep("plan", self.computed_plan()) if kept is None else kept

    @functools.cached_property
    def gains(self) -> np.ndarray:
        kept = self.kept("gains")
        if kept is not None:
            return kept
        plans = [self.plan.astype(np.float64)] * 2  # the other player's is ignored
        return self.keep("gains", self._evaluator.form.gains(1 - self._player, plans))

    def computed_plan(self) -> np.ndarray:
        """The plan, float64 `[S]`, from the network."""
        states = self._evaluator.form.players[self._player]
        (behaviour,) = self._evaluator.tabulate(self.batch(), states)
        return exact.realization_plan(states, behaviour)

    def batch(self) -> Params:
        """Its parameters as those of one policy, leaves `[1, ...]`."""
        return jax.tree.map(lambda leaf: np.asarray(leaf)[None], self._params)

    def kept(self, kind: str) -> np.ndarray | None:
        """The vector of a kind, `plan` or `gains`, if it is on the shelf."""
        player = self._player if kind == "plan" else 1 - self._player
        size = self._evaluator.form.players[player].num_sequences
        return self._evaluator.shelf.find(f"{self.name}.{kind}", size)

    def keep(self, kind: str, vector: np.ndarray) -> np.ndarray:
        """Puts a vector of a kind on the shelf, and uses it from now on."""
        vector = self._evaluator.shelf.keep(f"{self.name}.{kind}", vector.astype(np.float32))
        vars(self)[kind] = vector
        return vector


@dataclasses.dataclass(frozen=True, kw_only=True)
class FormEvaluator(FromExactPolicies):
    """Answers exactly, from the vectors of the policies.

    Attributes:
        form: the game.
        tabulate: behaviours of policies, leaves `[K, ...]`, at one player's info states.
        softmax: whether new policies acted by their own softmax in training: then the better of the
            two temperatures is kept, as in `psro.training.finishing`, but exactly.
        passes: `Form.returns_and_gains`, wherever it is computed.
        shelf: keeps the vectors.
    """

    finishes_in: ClassVar[str] = "tabulate"
    form: Form
    tabulate: ChunkedTabulator
    softmax: bool
    passes: Pass
    shelf: Shelf = InMemory()

    @functools.cached_property
    def fingerprint(self) -> bytes:
        """A digest of the form's info states: vectors of another order of them are not used."""
        digest = hashlib.sha256(self.form.name.encode())
        for states in self.form.players:
            for array in (states.parent, states.first_sequence):
                digest.update(np.ascontiguousarray(array))
        return digest.digest()

    def empty(self) -> FormMetaGame:
        return FormMetaGame.empty(self.form)

    def vectors(self, params: Params) -> tuple[PolicyVectors, PolicyVectors]:
        """Of a policy of each player, leaves `[2, ...]`; nothing is computed yet."""
        return tuple(
            PolicyVectors(self, p, jax.tree.map(lambda leaf, p=p: np.asarray(leaf)[p], params))
            for p in range(2)
        )

    def meta_game(self, population: Population, payoffs: np.ndarray) -> FormMetaGame:
        """The meta-game of a population whose payoffs are known; nothing is computed yet."""
        vectors = [self.vectors(population.policies(slot)) for slot in range(population.size)]
        return self.empty().put(range(population.size), vectors, payoffs)

    def finished(
        self,
        population: Population,
        policies: dict[int, Params],
        targets: dict[int, Target],
        key: jax.Array,
    ) -> dict[int, Params]:
        if not self.softmax:
            return policies
        return {
            slot: params | {"temperature": self._temperatures(params, targets[slot])}
            for slot, params in policies.items()
        }

    def _temperatures(self, params: Params, target: Target) -> np.ndarray:
        """The temperature of each player's policy that earns more, float32 `[2]`: as it is, or 1.
        A plan of the former is put on the shelf: it is needed next."""
        best = np.array(params["temperature"])
        for p, policy in enumerate(self.vectors(params)):
            one, states = policy.batch(), self.form.players[p]
            (pair,) = self.tabulate.at_temperatures(one, states, (1.0, 1.0 / best[p]))
            plans = exact.realization_plan(states, pair)
            sharp, noisy = plans @ target.exact.gains[p]
            if noisy > sharp:
                best[p] = 1.0
            else:
                policy.keep("plan", plans[0])
        return best

    def put(
        self,
        meta_game: FormMetaGame,
        population: Population,
        slots: Sequence[int],
        key: jax.Array,
        lap: Lap,
    ) -> FormMetaGame:
        pairs = [self.vectors(population.policies(slot)) for slot in slots]
        for pair in pairs:
            plans = [policy.plan for policy in pair]
            lap("tabulate")
            if any(policy.kept("gains") is None for policy in pair):
                _, gains = self.passes([plan.astype(float) for plan in plans])
                for policy, against in zip(pair, reversed(gains), strict=True):
                    policy.keep("gains", against)
            lap("walk")
        meta_game = meta_game.put(slots, pairs)
        lap("payoffs")
        return meta_game

    def target(
        self,
        meta_game: FormMetaGame,
        strategy: MetaStrategy,
        concept: str,
        capacity: int,
        correlated: CorrelatedGap | None,
    ) -> Target:
        return target_on_form(meta_game, strategy, concept, capacity, correlated)
