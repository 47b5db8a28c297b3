"""Walked games by JAX, on any device, in float64.

The ends of all board histories are lists of places (`games.walked.ends`), which are made once and
stay on the device. Then a pass is: what each player's plan weighs at each end, sums over segments;
and what the other's sequences gain there, additions at their places. In abrupt dark hex the lists
have 4e9 members, 16 GB.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from games.walked.ends import Ends, room_for
from games.walked.own_trees import board_of, openings, room_of
from games.walked.tree import WalkedTree
from games.walked.walk import walk
from psro.exact.on_devices import devices_of

FIRST_SIZE = 1 << 12
"""Ends of a part for which there is room at first."""

Part = tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array], jax.Array]
"""Members `[M]` and the number of them at each end `[E]`, of each player, and player 0's wins."""


class DeviceWalkedTree:
    """A `WalkedTree` on a device.

    Args:
        form: the game.
        platform: cpu, gpu or tpu; its first device is used. By default, JAX's first device.

    Raises:
        DeviceError: the machine has no such device.
    """

    def __init__(self, form: WalkedTree, platform: str | None = None):
        self.device, self._form = devices_of(platform)[0], form
        with jax.enable_x64(True):
            self._parts = [jax.device_put(part, self.device) for part in _parts(form)]

    def returns_and_gains(self, plans: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        """`Form.returns_and_gains`."""
        form, board = self._form, board_of(self._form.rules)
        x = np.concatenate([np.asarray(plan, np.float64) for plan in plans])
        with form.lock, jax.enable_x64(True):
            numbers = form.layout.tables.numbers
            form.layout.load(board, x)
            weights = jax.device_put(numbers, self.device)
            gains = jnp.zeros_like(weights)
            for part in self._parts:
                gains = _add(weights, gains, part)
            form.layout.add_gains(board, np.asarray(gains))
            total = form.layout.unload(board, len(x))
        gains = np.split(total, [form.players[0].num_sequences])
        value = float(gains[0] @ plans[0])
        return np.array([value, -value]), gains


def _parts(form: WalkedTree) -> Iterator[Part]:
    """The ends of each part, filled up to a power of two with ends that nobody wins, so that few
    sizes are compiled."""
    board, room, size = board_of(form.rules), room_of(form.rules), FIRST_SIZE
    for opening in itertools.chain.from_iterable(openings(form.rules)):
        while True:
            ends = room_for(size, 8 * size)
            walk(board, form.layout.tables, opening, room, ends)
            if ends.counts[0] >= 0:
                break
            size *= 2
        if ends.counts[0]:
            yield _filled(ends)


def _filled(ends: Ends) -> Part:
    number = int(ends.counts[0])
    sides, num_ends = [], _power(number + 1)
    for members, starts in zip(ends.members, ends.starts, strict=True):
        counts = np.zeros(num_ends, np.int32)
        counts[:number] = np.diff(starts[: number + 1])
        total = int(starts[number])
        filled = np.zeros(_power(total), np.int32)
        filled[:total] = members[:total]
        counts[-1] = len(filled) - total  # of place 0, at which nobody wins
        sides.append((filled, counts))
    wins = np.zeros(num_ends)
    wins[:number] = ends.wins[:number]
    return sides[0], sides[1], wins


def _power(number: int) -> int:
    return 1 << (number - 1).bit_length()


@functools.partial(jax.jit, donate_argnums=1)
def _add(weights: jax.Array, gains: jax.Array, part: Part) -> jax.Array:
    """Adds what a part of the ends earns to the `gains [N]`, by the plans' `weights [N]`."""
    *sides, wins = part
    ids = [
        jnp.repeat(jnp.arange(len(counts)), counts, total_repeat_length=len(members))
        for members, counts in sides
    ]
    reached = [
        jax.ops.segment_sum(weights[members], of, len(wins), indices_are_sorted=True)
        for (members, _), of in zip(sides, ids, strict=True)
    ]
    for player, ((members, _), of) in enumerate(zip(sides, ids, strict=True)):
        earned = (wins if player == 0 else -wins) * reached[1 - player]
        gains = gains.at[members].add(earned[of])
    return gains
