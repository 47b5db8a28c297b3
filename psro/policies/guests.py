"""Populations with policies of other networks than the run's own, or with tables among networks.

A population is one stack of parameters. A member that is a *guest* keeps its parameters beside
those of the run's own network, and a number says whose are meant. All are computed and one of them
is used, so acting costs as much as the own network and all kinds of guests together. Only the own
network is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from games.levels import Level, rows
from games.tree import GameTree
from psro.errors import SettingsError
from psro.policies.networks.cells.cell import Carry
from psro.policies.policy import Params, Policy, TablePolicy

GUESTS, GUEST = "guests", "guest"
"""The names of a member's additional parameters: those of each kind of guest, and the number of the
kind that is meant, float32 `[]` (0: the own network)."""
_MOST_PLACES = 1 << 26
"""Most entries of a table of the info states that follow each sequence."""


class ActingTable(TablePolicy):
    """A `TablePolicy` that also acts, on the observations of networks.

    Its carry is the row of its last info state. The next one is among those that follow the last
    sequence, and its observation says which: their projections on one random vector differ.

    Args:
        tree: the game.

    Raises:
        SettingsError: info states that follow the same sequence look the same, or there are too
            many.
    """

    def __init__(self, tree: GameTree):
        super().__init__(tree)
        self.tree = tree
        size = tree.observation_size
        self._vector = np.random.default_rng(0).uniform(0.5, 1.5, size).astype(np.float32)
        self._rows = rows(tree)
        first_sequence = np.cumsum([0, *(own.num_sequences for own in tree.players)])
        # Of every sequence of every player, the info states that follow it: `[S, C]`.
        parents = np.concatenate(
            [own.parent + start for own, start in zip(tree.players, first_sequence, strict=False)]
        )
        counts = np.bincount(parents, minlength=first_sequence[-1])
        if counts.max() * len(counts) > _MOST_PLACES:
            raise SettingsError(f"{tree.name} is too large for tables that play beside networks")
        order = np.argsort(parents, kind="stable")
        place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        self._next = np.full((len(counts), counts.max()), -1, np.int32)
        self._next[parents[order], place] = order
        keys = np.concatenate(
            [own.observation.astype(np.float32) @ self._vector for own in tree.players]
        )
        self._keys = np.where(self._next < 0, np.float32(np.inf), keys[self._next])
        self._check_apart()
        self._roots = first_sequence[:-1].astype(np.int32)
        self._first = np.concatenate(
            [
                own.first_sequence[:-1] + start
                for own, start in zip(tree.players, first_sequence, strict=False)
            ]
        ).astype(np.int32)
        self._legal = np.concatenate([own.legal for own in tree.players])
        self._start = np.int32(-1)

    def __reduce__(self):
        return ActingTable, (self.tree,)

    @property
    def architecture(self) -> tuple[Any, ...]:
        return type(self), self.tree.name

    def _check_apart(self) -> None:
        ordered = np.sort(self._keys, axis=1)
        with np.errstate(invalid="ignore"):
            gaps = np.diff(ordered, axis=1)
        known = np.isfinite(ordered[:, 1:])
        scale = max(float(np.abs(self._keys[np.isfinite(self._keys)]).max()), 1.0)
        if (gaps[known] < 1e-5 * scale).any():
            raise SettingsError(
                f"a table cannot play beside networks in {self.tree.name}: what networks see does "
                "not tell its info states apart"
            )

    def init(self) -> Params:
        """Uniform play, with the seat that a member's table is for."""
        tables = {
            f"level_{depth:02d}": jnp.zeros(shape) for depth, shape in enumerate(self._shapes)
        }
        return tables | {"seat": jnp.zeros((), jnp.float32)}

    def seated(self, params: Params) -> Params:
        """Tables of every player, leaves `[P, W, A]`, with their seats."""
        seats = len(jax.tree.leaves(params)[0])
        return params | {"seat": np.arange(seats, dtype=np.float32)}

    def initial_carry(self, batch_shape: tuple[int, ...] = ()) -> Carry:
        return jnp.full(batch_shape, self._start)

    def __call__(
        self, params: Params, observation: jax.Array, last_action: jax.Array, carry: Carry
    ) -> tuple[jax.Array, jax.Array, Carry]:
        """Logits `[..., A]`, zeros `[...]` and the next carry, as `Policy.__call__`."""
        last = jnp.maximum(carry, 0)
        legal = jnp.asarray(self._legal)[last]
        actions = jnp.broadcast_to(jnp.arange(self._legal.shape[1]), legal.shape)
        earlier = legal & (actions < last_action[..., None])
        after = jnp.asarray(self._first)[last] + earlier.sum(axis=-1, dtype=jnp.int32)
        root = jnp.asarray(self._roots)[params["seat"].astype(jnp.int32)]
        sequence = jnp.where(carry < 0, root, after)
        seen = jnp.asarray(observation, jnp.float32)
        key = jnp.matmul(seen, jnp.asarray(self._vector), precision=jax.lax.Precision.HIGHEST)
        distance = jnp.abs(jnp.asarray(self._keys)[sequence] - key[..., None])
        choice = jnp.argmin(distance, axis=-1)
        state = jnp.maximum(jnp.asarray(self._next)[sequence, choice], 0)
        logits = jnp.concatenate([params[f"level_{d:02d}"] for d in range(len(self._shapes))])
        values = jnp.zeros(state.shape)
        return logits[jnp.asarray(self._rows)[state]], values, state


class GuestPolicy(Policy):
    """A `Policy` some of whose parameters are those of guests. Members are dicts of the network's
    own parameters with `GUESTS` and `GUEST`.

    Args:
        own: the network that is trained.
        guests: the kinds of guests.
    """

    def __init__(self, own: Policy, guests: Sequence[Policy | ActingTable]):
        self.own, self._guests = own, tuple(guests)
        self.observation_space, self.action_space = own.observation_space, own.action_space
        self.normalises, self.settings = own.normalises, own.settings
        self.central = own.central
        self._start = (own._start, *(guest._start for guest in self._guests))
        self._init = jax.jit(lambda keys: jax.lax.map(self.init, keys))

    def __reduce__(self):
        return GuestPolicy, (self.own, self._guests)

    @property
    def architecture(self) -> tuple[Any, ...]:
        return *self.own.architecture, *(guest.architecture for guest in self._guests)

    def init(self, key: jax.Array) -> Params:
        kinds = {}
        for number, guest in enumerate(self._guests):
            if isinstance(guest, ActingTable):
                kinds[str(number)] = guest.init()
                continue
            shapes = jax.eval_shape(guest.init, jax.random.key(0))
            zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
            kinds[str(number)] = zeros | {"temperature": jnp.ones((), jnp.float32)}
        return self.own.init(key) | {GUESTS: kinds, GUEST: jnp.zeros((), jnp.float32)}

    def as_member(self, fresh: Params, kind: int, params: Params) -> Params:
        """The member, leaves `[P, ...]`, that plays as the policies `params` of a kind: 0 for the
        own network, otherwise a guest's number from 1. `fresh` are any members, `[P, ...]`."""
        if not kind:
            return fresh | params
        guest = self._guests[kind - 1]
        if isinstance(guest, ActingTable):
            params = guest.seated(params)
        number = np.full_like(fresh[GUEST], kind)
        return fresh | {GUESTS: fresh[GUESTS] | {str(kind - 1): params}, GUEST: number}

    def __call__(
        self, params: Params, observation: Any, last_action: jax.Array, carry: Carry
    ) -> tuple[jax.Array, jax.Array, Carry]:
        mine, *others = carry
        outputs, value, mine = self.own(_own(params), observation, last_action, mine)
        after = []
        for number, (guest, carried) in enumerate(zip(self._guests, others, strict=True)):
            theirs = jax.lax.stop_gradient(params[GUESTS][str(number)])
            other, worth, carried = guest(theirs, observation, last_action, carried)
            outputs = _chosen(params, number, other, outputs)
            value = _chosen(params, number, worth, value)
            after.append(carried)
        return outputs, value, (mine, *after)

    def unroll_on(
        self,
        params: Params,
        observation: Any,
        last_action: jax.Array,
        reset: jax.Array,
        carry: Carry,
    ) -> tuple[jax.Array, jax.Array, Carry]:
        """Of the own network alone: sequences are those of learners, which are no guests."""
        mine, *others = carry
        outputs, values, mine = self.own.unroll_on(
            _own(params), observation, last_action, reset, mine
        )
        return outputs, values, (mine, *others)

    def value_of(
        self,
        params: Params,
        value: jax.Array,
        observation: Any,
        last_action: jax.Array,
        others: Any,
    ) -> jax.Array:
        return self.own.value_of(_own(params), value, observation, last_action, others)

    def with_own_values(self) -> GuestPolicy:
        return GuestPolicy(self.own.with_own_values(), self._guests)

    def judge(
        self, params: Params, observation: Any, last_action: jax.Array, others: Any
    ) -> tuple[jax.Array, jax.Array]:
        return self.own.judge(_own(params), observation, last_action, others)

    def tabulate(
        self, params: Params, levels: Sequence[Level]
    ) -> tuple[list[jax.Array], list[jax.Array]]:
        logits, values = self.own.tabulate(_own(params), levels)
        for number, guest in enumerate(self._guests):
            theirs = jax.lax.stop_gradient(params[GUESTS][str(number)])
            others, worth = guest.tabulate(theirs, levels)
            logits = [_chosen(params, number, *pair) for pair in zip(others, logits, strict=True)]
            values = [_chosen(params, number, *pair) for pair in zip(worth, values, strict=True)]
        return logits, values


def _own(params: Params) -> Params:
    return {name: leaf for name, leaf in params.items() if name not in (GUESTS, GUEST)}


def _chosen(params: Params, number: int, theirs: jax.Array, own: jax.Array) -> jax.Array:
    """What guest `number` says if the parameters are its own, otherwise `own`."""
    return jnp.where(params[GUEST] == number + 1, jax.lax.stop_gradient(theirs), own)


def is_guest(member: Params) -> bool:
    """Whether a member of a population, leaves `[P, ...]`, is a guest."""
    return GUEST in member and bool(np.asarray(member[GUEST]).any())
