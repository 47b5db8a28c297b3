"""Jobs and their environments, spread over the devices that are visible.

Jobs do not depend on each other, so devices need not talk: each maps over its own jobs. What
devices are left over may share the environments of a job. On a CPU the "devices" are threads: the
command `psro` asks for `CPU_DEVICES` of them (`psro.oracles.settings`), whatever the number of
cores, so that a run does not depend on how many there are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from psro.errors import SettingsError


def _one_by_one(function: Callable[..., Any], axes: Sequence[int | None]) -> Callable[..., Any]:
    """As `vmap`, but one job after another, so that what a device computes for a job, bit for bit,
    does not depend on how many it has. On a CPU it is no slower."""

    def mapped(*arguments: Any) -> Any:
        own = [each for each, axis in zip(arguments, axes, strict=True) if axis == 0]

        def one(own: Sequence[Any]) -> Any:
            rest = iter(own)
            return function(
                *(
                    next(rest) if axis == 0 else each
                    for each, axis in zip(arguments, axes, strict=True)
                )
            )

        return jax.lax.map(one, own)

    return mapped


class OverJobs:
    """`function` of one job, mapped over jobs (`vmap`), jitted, on as many devices as divide them.

    Args:
        function: called as `function(*arguments, spread=spread)`; what it does to an array whose
            leading axis is environments with `spread` is left to the compiler.
        shared: positions of the arguments that all jobs share; the others have a leading axis of
            jobs.
        env_devices: devices that share the environments of a job; 0: all that jobs leave over on
            accelerators, and 1 on a CPU.
    """

    def __init__(
        self, function: Callable[..., Any], *, shared: Sequence[int] = (), env_devices: int = 1
    ):
        self._function = function
        self._shared = frozenset(shared)
        self._env_devices = env_devices
        self._compiled: dict[int, Callable[..., Any]] = {}

    def __call__(self, num_jobs: int, *arguments: Any) -> Any:
        """Results, leaves `[J, ...]`. They come back by way of the host where several devices made
        them, so that they belong to none and nothing is compiled again for where they are."""
        if num_jobs not in self._compiled:
            self._compiled[num_jobs] = self._compile(num_jobs, len(arguments))
        results = self._compiled[num_jobs](*arguments)
        if len(jax.devices()) == 1:
            return results
        return jax.tree.map(jnp.asarray, jax.device_get(results))

    def _compile(self, num_jobs: int, num_arguments: int) -> Callable[..., Any]:
        devices = jax.devices()
        envs = self._env_devices or 1
        if envs > len(devices):
            raise SettingsError(
                f"env_devices = {envs} is more than the {len(devices)} that there are"
            )
        jobs = max(n for n in range(1, len(devices) // envs + 1) if num_jobs % n == 0)
        if not self._env_devices and devices[0].platform != "cpu":
            envs = len(devices) // jobs
        axes = [None if number in self._shared else 0 for number in range(num_arguments)]
        mesh = Mesh(np.array(devices[: jobs * envs]).reshape(jobs, envs), ("jobs", "envs"))

        def spread(tree: Any) -> Any:
            if envs == 1:
                return tree
            along = PartitionSpec("envs")
            return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, along), tree)

        function = functools.partial(self._function, spread=spread)
        on_cpu = devices[0].platform == "cpu"
        mapped = _one_by_one(function, axes) if on_cpu else jax.vmap(function, in_axes=axes)
        if jobs * envs == 1:
            return jax.jit(mapped)
        by_job = PartitionSpec("jobs")
        specs = tuple(by_job if axis == 0 else PartitionSpec() for axis in axes)
        return jax.jit(
            jax.shard_map(
                mapped,
                mesh=mesh,
                in_specs=specs,
                out_specs=by_job,
                axis_names={"jobs"},
                check_vma=False,
            )
        )
