"""The quantities of `psro.exact` by JAX, on any device, in float64.

An accelerator can be faster than numpy on trees with many terminals. 64-bit numbers are enabled
inside these calls only (`jax.enable_x64`), so training stays in float32. The tree's arrays are
arguments of the compiled functions, so the time to compile does not depend on their size.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from games.device_form import DeviceForm
from games.tree import GameTree, Plans, PlayerTree
from psro.errors import PsroError
from psro.exact import Exploitability


class DeviceError(PsroError):
    """The requested device does not exist; one sentence says so."""


def devices_of(platform: str | None = None) -> list[jax.Device]:
    """The devices of a platform (cpu, gpu or tpu), by default JAX's first.

    Raises:
        DeviceError: there are none, or JAX has no platform at all, because the environment variable
            JAX_PLATFORMS names one that is not here.
    """
    try:
        jax.devices()
    except (RuntimeError, AssertionError):  # by whether JAX knows the name
        named = jax.config.jax_platforms
        raise DeviceError(
            f"JAX finds no device of the platform that JAX_PLATFORMS={named} names; leave the "
            "variable out, or set it to cpu"
        ) from None
    try:
        return jax.devices(platform)
    except RuntimeError:
        raise DeviceError(
            f"there is no device {platform!r} here; JAX has {jax.default_backend()}, and numpy "
            "computes the same where --device is left out"
        ) from None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class _Player:
    """The parts of a `PlayerTree` that a best response needs. Levels are slices with static bounds.
    `owner` is the info state of each sequence except 0, counted within its level."""

    parent: jax.Array  # [I]
    owner: jax.Array  # [S - 1]
    info_states: tuple[int, ...] = dataclasses.field(metadata={"static": True})  # [L + 1]
    sequences: tuple[int, ...] = dataclasses.field(metadata={"static": True})  # [L + 1]

    @classmethod
    def of(cls, player: PlayerTree) -> _Player:
        level = np.searchsorted(player.level_start, player.info_state[1:], side="right") - 1
        return cls(
            parent=player.parent,
            owner=player.info_state[1:] - player.level_start[level],
            info_states=tuple(player.level_start.tolist()),
            sequences=tuple(player.first_sequence[player.level_start].tolist()),
        )


class DeviceTree:
    """A `GameTree` on a device. Each method takes and returns numpy arrays, and agrees with the
    function of the same name in `psro.exact` up to rounding.

    Args:
        tree: the game.
        platform: cpu, gpu or tpu; its first device is used. By default, JAX's first device.
            TPUs emulate float64, and may return fewer digits.

    Raises:
        DeviceError: the machine has no such device.
    """

    def __init__(self, tree: GameTree, platform: str | None = None):
        self.device = devices_of(platform)[0]
        self._tree = tree
        with jax.enable_x64(True):
            self._players = jax.device_put(tuple(map(_Player.of, tree.players)), self.device)
            self._outcomes = jax.device_put(tree.device_form(), self.device)

    def returns(self, plans: Plans) -> np.ndarray:
        """`exact.returns`, `[P]`."""
        return self._call(_values, self._outcomes, plans)

    def gains(self, player: int, plans: Plans) -> np.ndarray:
        """`exact.gains`, `[S]`."""
        return self._call(_gains, self._outcomes, plans, player=player)

    def payoffs(self, plans: Plans) -> np.ndarray:
        """`exact.payoffs`, `[P, K_0, ..., K_{P-1}]`, of plans `[K_q, S_q]`. It takes one pass over
        the terminals for every profile of the players other than the one with the most plans."""
        counts = [len(own) for own in plans]
        if 0 in counts:
            return np.zeros((len(plans), *counts))
        many = int(np.argmax(counts))
        table = self._call(_payoffs, self._outcomes, plans, player=many)  # [others, P, K_many]
        table = table.reshape(*counts[:many], *counts[many + 1 :], len(plans), counts[many])
        return np.moveaxis(table, (-2, -1), (0, 1 + many))

    def exploitability(self, plans: Plans) -> Exploitability:
        """`exact.exploitability`."""
        best = self._call(_best_response_values, self._outcomes, plans, players=self._players)
        return Exploitability.of(self.returns(plans), best, self._tree.rounding)

    def _call(self, function, outcomes, plans: Plans, **options) -> np.ndarray:
        with jax.enable_x64(True):
            plans = jax.device_put([np.asarray(plan, np.float64) for plan in plans], self.device)
            return np.asarray(function(outcomes, plans, **options))


@jax.jit
def _values(outcomes: DeviceForm, plans: Plans) -> jax.Array:
    return outcomes.values(plans)


@functools.partial(jax.jit, static_argnames="player")
def _gains(outcomes: DeviceForm, plans: Plans, *, player: int) -> jax.Array:
    return outcomes.earned(player, plans, player)


@functools.partial(jax.jit, static_argnames="player")
def _payoffs(outcomes: DeviceForm, plans: Plans, *, player: int) -> jax.Array:
    """`[profiles of the others, P, K]` for the K plans of `player`."""
    others = [q for q in range(len(plans)) if q != player]
    profiles = np.indices([len(plans[q]) for q in others]).reshape(len(others), -1)

    def against(profile: jax.Array) -> jax.Array:
        chosen = list(plans)
        for q, k in zip(others, profile, strict=True):
            chosen[q] = plans[q][k]
        earned = [outcomes.earned(p, chosen, player) for p in range(len(plans))]
        return jnp.stack(earned) @ plans[player].T

    return jax.lax.map(against, profiles.T)


@jax.jit
def _best_response_values(
    outcomes: DeviceForm, plans: Plans, *, players: Sequence[_Player]
) -> jax.Array:
    """`[P]`: the values of `exact.best_response`, backwards over each player's levels."""
    values = []
    for p, player in enumerate(players):
        gain = outcomes.earned(p, plans, p)
        for level in reversed(range(len(player.sequences) - 1)):
            first, last = player.info_states[level : level + 2]
            start, stop = player.sequences[level : level + 2]
            best = jax.ops.segment_max(
                gain[start:stop],
                player.owner[start - 1 : stop - 1],
                last - first,
                indices_are_sorted=True,
            )
            gain = gain.at[player.parent[first:last]].add(best)
        values.append(gain[0])
    return jnp.stack(values)
