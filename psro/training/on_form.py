"""The evaluator of games of two players that are known by a `Form` but are not enumerated: exact.

Best responses train by episodes. A finished policy is tabulated at all own info states, and one
pass over the game gives what both players' sequences gain against each other's new policy. From
these vectors everything else follows (`psro.metagame.form_meta_game`).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

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
from psro.training.evaluators import Elsewhere, FromExactPolicies, Lap


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class FormSteps:
    """What takes time with policies in a game that is known by a form. Every method is a pure
    function of its arguments: so any process may do it.

    Attributes:
        form: the game.
        tabulate: behaviours of policies, leaves `[K, ...]`, at one player's info states.
        passes: `Form.returns_and_gains`, wherever it is computed.
    """

    form: Form
    tabulate: ChunkedTabulator
    passes: Pass

    def plan(self, player: int, params: Params) -> np.ndarray:
        """The plan of a policy, leaves `[...]`, float32 `[S]`."""
        states = self.form.players[player]
        (behaviour,) = self.tabulate(_one(params), states)
        return exact.realization_plan(states, behaviour).astype(np.float32)

    def sharper(self, player: int, params: Params, gains: np.ndarray) -> np.ndarray | None:
        """The plan, float32 `[S]`, of a policy as it is, leaves `[...]`. None if it earns more at
        temperature 1, where sequences earn `gains [S]`."""
        states, best = self.form.players[player], params["temperature"]
        (pair,) = self.tabulate.at_temperatures(_one(params), states, (1.0, 1.0 / best))
        plans = exact.realization_plan(states, pair)
        sharp, noisy = plans @ gains
        return None if noisy > sharp else plans[0].astype(np.float32)

    def gains(self, plans: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What each player's sequences earn against the other's plan, float32 `[S_p]`, by one
        pass."""
        _, gains = self.passes([plan.astype(np.float64) for plan in plans])
        return [own.astype(np.float32) for own in gains]

    def here(self, step: str, calls: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
        """The results of one of the methods above, one of each call, in this process."""
        return (getattr(self, step)(**call) for call in calls)


def _one(params: Params) -> Params:
    """Parameters of one policy, leaves `[1, ...]`."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], params)


class PolicyVectors:
    """One player's policy as `Vectors`: from the shelf, or computed when they are first needed.

    Args:
        evaluator: computes them.
        player: whose policy it is.
        params: its parameters, leaves `[...]`.

    Attributes:
        player: as the argument.
        params: as the argument.
    """

    def __init__(self, evaluator: FormEvaluator, player: int, params: Params):
        self._evaluator, self.player, self.params = evaluator, player, params

    @functools.cached_property
    def name(self) -> str:
        """Its name on the shelf: the player, and a digest of the form and the parameters."""
        digest = hashlib.sha256(self._evaluator.fingerprint)
        for path, leaf in jax.tree.leaves_with_path(self.params):
            array = np.asarray(leaf)
            digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape} ".encode())
            digest.update(array.tobytes())
        return f"{self.player}-{digest.hexdigest()[:32]}"

    @functools.cached_property
    def plan(self) -> np.ndarray:
        kept = self.kept("plan")
        if kept is None:
            kept = self.keep("plan", self._evaluator.steps.plan(self.player, self.params))
        return kept

    @functools.cached_property
    def gains(self) -> np.ndarray:
        kept = self.kept("gains")
        if kept is not None:
            return kept
        plans = [self.plan.astype(np.float64)] * 2  # the other player's is ignored
        return self.keep("gains", self._evaluator.form.gains(1 - self.player, plans))

    def kept(self, kind: str) -> np.ndarray | None:
        """The vector of a kind, `plan` or `gains`, if it is on the shelf."""
        player = self.player if kind == "plan" else 1 - self.player
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
        steps: what takes time.
        softmax: whether new policies acted by their own softmax in training: then the better of the
            two temperatures is kept, as in `psro.training.finishing`, but exactly.
        shelf: keeps the vectors.
        workers: do the steps of new policies; None where this process does.
    """

    finishes_in: ClassVar[str] = "tabulate"
    steps: FormSteps
    softmax: bool
    shelf: Shelf = InMemory()
    workers: Elsewhere | None = None

    @property
    def form(self) -> Form:
        return self.steps.form

    def elsewhere(self, workers: Elsewhere) -> FormEvaluator:
        return dataclasses.replace(self, workers=workers)

    def _do(self, step: str, calls: Sequence[Mapping[str, Any]]) -> Iterable[Any]:
        do = self.steps.here if self.workers is None else self.workers.on_form
        return do(step, calls)

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
        trained = [
            (slot, policy) for slot, params in policies.items() for policy in self.vectors(params)
        ]
        plans = self._do(
            "sharper",
            [
                _call(policy) | {"gains": targets[slot].exact.gains[policy.player]}
                for slot, policy in trained
            ],
        )
        best = {slot: np.array(params["temperature"]) for slot, params in policies.items()}
        for (slot, policy), plan in zip(trained, plans, strict=True):
            if plan is None:
                best[slot][policy.player] = 1.0
            else:
                policy.keep("plan", plan)  # it is needed next
        return {slot: params | {"temperature": best[slot]} for slot, params in policies.items()}

    def put(
        self,
        meta_game: FormMetaGame,
        population: Population,
        slots: Sequence[int],
        key: jax.Array,
        lap: Lap,
    ) -> FormMetaGame:
        pairs = [self.vectors(population.policies(slot)) for slot in slots]
        missing = [policy for pair in pairs for policy in pair if policy.kept("plan") is None]
        plans = self._do("plan", [_call(policy) for policy in missing])
        for policy, plan in zip(missing, plans, strict=True):
            policy.keep("plan", plan)
        lap("tabulate")
        unwalked = [pair for pair in pairs if any(one.kept("gains") is None for one in pair)]
        walked = self._do("gains", [{"plans": [one.plan for one in pair]} for pair in unwalked])
        for pair, gains in zip(unwalked, walked, strict=True):
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


def _call(policy: PolicyVectors) -> dict[str, Any]:
    return {"player": policy.player, "params": policy.params}
