"""Public trees by JAX, on any device, in float64.

Numbers of a player are `[slots, types]` here: a row for each (public state, action), as
`games.public.game` has them. So what ends of the public tree earn are products of rows with a small
matrix, and best responses are maxima over rows that follow each other.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from games.public.game import PublicStates
from games.public.tree import PublicTree
from psro.exact import Exploitability
from psro.exact.on_devices import devices_of

CHUNK = 1 << 16
"""Ends of the public tree that are taken at once."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class _Seat:
    """One player: N public states, S slots. Types that a board does not leave have numbers too:
    they earn nothing, as their payoffs are 0."""

    parent: jax.Array  # slots before the states, [N]
    state: jax.Array  # of each slot but the first, [S - 1]
    num_actions: jax.Array  # of each slot's state, [S]
    states: tuple[int, ...] = dataclasses.field(metadata={"static": True})  # level starts, [L + 1]
    slots: tuple[int, ...] = dataclasses.field(metadata={"static": True})  # level starts, [L + 1]


class DevicePublicTree:
    """A `PublicTree` on a device.

    Args:
        form: the game.
        platform: cpu, gpu or tpu; its first device is used. By default, JAX's first device.
        chunk: ends of the public tree that are taken at once.

    Raises:
        DeviceError: the machine has no such device.
    """

    def __init__(self, form: PublicTree, platform: str | None = None, *, chunk: int = CHUNK):
        self.device, self._form = devices_of(platform)[0], form
        game = form.game
        with jax.enable_x64(True):
            put = functools.partial(jax.device_put, device=self.device)
            self._seats = put(tuple(map(_seat, game.states)))
            self._ends = put(_padded(game.end_slot, game.end_scale, game.kind_start, chunk))
            self._payoff = put(game.payoff)

    def returns_and_gains(self, plans: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        """`Form.returns_and_gains` of plans `[S_p]` in the order of `InfoStates`."""
        with jax.enable_x64(True):
            slots = [np.arange(len(player.numbering.start)) for player in self._form.players]
            sequences = [
                player.numbering.sequences(own)  # [slots, types]
                for player, own in zip(self._form.players, slots, strict=True)
            ]
            rows = [
                jax.device_put(np.asarray(plan, np.float64)[own], self.device)
                for plan, own in zip(plans, sequences, strict=True)
            ]
            gains = []
            for p, player in enumerate(self._form.players):
                earned = np.asarray(self._gains(p, rows[1 - p]))
                own = np.zeros(player.num_sequences)
                np.add.at(own, sequences[p], earned)
                gains.append(own)
        value = float(gains[0] @ plans[0])
        return np.array([value, -value]), gains

    def uniform_exploitability(self) -> Exploitability:
        """NashConv of uniform play. All of it stays on the device."""
        with jax.enable_x64(True):
            plans = [
                _uniform(seat, num_types)
                for seat, num_types in zip(self._seats, self._payoff.shape[1:], strict=True)
            ]
            gains = [self._gains(p, plans[1 - p]) for p in range(2)]
            value = float(jnp.vdot(gains[0], plans[0]))
            best = [float(_best(seat, own)) for seat, own in zip(self._seats, gains, strict=True)]
        return Exploitability.of(np.array([value, -value]), np.array(best), self._form.rounding)

    def _gains(self, player: int, opponent: jax.Array) -> jax.Array:
        payoff = -self._payoff if player else self._payoff.swapaxes(1, 2)  # [K, T_q, T_p]
        return _gains(
            self._ends, payoff, opponent, player=player,
            num_slots=len(self._seats[player].num_actions),
        )  # fmt: skip


def _seat(states: PublicStates) -> _Seat:
    counts = np.diff(states.first_slot)
    state = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return _Seat(
        parent=states.parent,
        state=state,
        num_actions=np.concatenate([[1], counts[state]]).astype(np.int32),
        states=tuple(states.level_start.tolist()),
        slots=tuple(states.first_slot[states.level_start].tolist()),
    )


def _padded(
    slots: np.ndarray, scale: np.ndarray, kind_start: np.ndarray, chunk: int
) -> tuple[np.ndarray, ...]:
    """Slots `[n, chunk, 2]` and scales `[n, chunk]` of the ends, of one kind `[n]` in each part;
    parts are filled up with the first slot and scale 0."""
    parts = [
        (kind, slice(first, min(first + chunk, stop)))
        for kind, (start, stop) in enumerate(zip(kind_start[:-1], kind_start[1:], strict=True))
        for first in range(start, stop, chunk)
    ]
    padded = np.zeros((len(parts), chunk, 2), np.int32)
    scales = np.zeros((len(parts), chunk))
    for row, (_, ends) in enumerate(parts):
        padded[row, : ends.stop - ends.start] = slots[ends]
        scales[row, : ends.stop - ends.start] = scale[ends]
    return padded, scales, np.array([kind for kind, _ in parts], np.int32)


@functools.partial(jax.jit, static_argnames=("player", "num_slots"))
def _gains(ends, payoff, opponent, *, player: int, num_slots: int) -> jax.Array:
    """What a player's slots earn, `[S_p, T_p]`, against the opponent's plan `[S_q, T_q]`."""

    def add(gains: jax.Array, part: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        slots, scale, kind = part
        earned = (opponent[slots[:, 1 - player]] @ payoff[kind]) * scale[:, None]
        return gains.at[slots[:, player]].add(earned), None

    zeros = jnp.zeros((num_slots, payoff.shape[2]), payoff.dtype)
    return jax.lax.scan(add, zeros, ends)[0]


@functools.partial(jax.jit, static_argnames="num_types")
def _uniform(seat: _Seat, num_types: int) -> jax.Array:
    """The realization plan of uniform play, `[S, T]`."""
    plan = jnp.ones((len(seat.num_actions), num_types), jnp.float64)
    for level in range(len(seat.states) - 1):
        start, stop = seat.slots[level : level + 2]
        above = plan[seat.parent[seat.state[start - 1 : stop - 1]]]
        plan = plan.at[start:stop].set(above / seat.num_actions[start:stop, None])
    return plan


@jax.jit
def _best(seat: _Seat, gains: jax.Array) -> jax.Array:
    """The value of a best response, from the gains `[S, T]`."""
    for level in reversed(range(len(seat.states) - 1)):
        first, last = seat.states[level : level + 2]
        start, stop = seat.slots[level : level + 2]
        best = jax.ops.segment_max(
            gains[start:stop], seat.state[start - 1 : stop - 1] - first, last - first,
            indices_are_sorted=True,
        )  # fmt: skip
        gains = gains.at[seat.parent[first:last]].add(best)
    return gains[0].sum()
