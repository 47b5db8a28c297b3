"""Jobs and their environments, spread over the devices that are visible.

Jobs do not depend on each other, so devices need not talk: each maps over its own jobs. What
devices are left over may share the environments of a job. On a CPU the "devices" are threads: the
command `psro` asks for `CPU_DEVICES` of them (`psro.oracles.settings`), whatever the number of
cores, so that a run does not depend on how many there are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from psro.errors import SettingsError

Function = Callable[..., Any]
"""From a job's own PyTree and the one that all jobs share to results, with a keyword `spread`: what
it does to an array whose leading axis is environments is left to the compiler."""


class OverJobs:
    """A function of one job, mapped over jobs and compiled, on as many devices as divide them.

    Calls with fewer jobs than the largest before compile nothing: the jobs that are missing are
    filled up, and what fills them up is not trained.

    Args:
        function: of one job.
        env_devices: devices that share the environments of a job; 0: all that jobs leave over on
            accelerators, and 1 on a CPU.
    """

    def __init__(self, function: Function, *, env_devices: int = 1):
        self._function = function
        self._env_devices = env_devices
        self._most = 0
        self._compiled: dict[int, Callable[..., Any]] = {}

    def __call__(self, own: Any, shared: Any) -> Any:
        """Results on the host, leaves `[J, ...]`, of what jobs have each for themselves, leaves
        `[J, ...]`, and what they share."""
        num_jobs = len(jax.tree.leaves(own)[0])
        self._most = max(self._most, num_jobs)
        if num_jobs < self._most:
            filled = np.minimum(np.arange(self._most), num_jobs - 1)
            own = jax.tree.map(lambda leaf: np.asarray(leaf)[filled], own)
        if self._most not in self._compiled:
            self._compiled[self._most] = self._compile(self._most)
        trained = np.arange(self._most) < num_jobs
        results = self._compiled[self._most](*jax.device_put((trained, own, shared)))
        return jax.tree.map(lambda leaf: leaf[:num_jobs], jax.device_get(results))

    def _compile(self, num_jobs: int) -> Callable[..., Any]:
        devices = jax.devices()
        envs = self._env_devices or 1
        if envs > len(devices):
            raise SettingsError(
                f"env_devices = {envs} is more than the {len(devices)} that there are"
            )
        jobs = max(n for n in range(1, len(devices) // envs + 1) if num_jobs % n == 0)
        if not self._env_devices and devices[0].platform != "cpu":
            envs = len(devices) // jobs
        mesh = Mesh(np.array(devices[: jobs * envs]).reshape(jobs, envs), ("jobs", "envs"))

        def spread(tree: Any) -> Any:
            if envs == 1:
                return tree
            along = PartitionSpec("envs")
            return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, along), tree)

        map_jobs = _one_by_one if devices[0].platform == "cpu" else _side_by_side
        mapped = functools.partial(map_jobs, functools.partial(self._function, spread=spread))
        if jobs * envs == 1:
            return jax.jit(mapped)
        by_job = PartitionSpec("jobs")
        return jax.jit(
            jax.shard_map(
                mapped,
                mesh=mesh,
                in_specs=(by_job, by_job, PartitionSpec()),
                out_specs=by_job,
                axis_names={"jobs"},
                check_vma=False,
            )
        )


def _one_by_one(function: Function, trained: jax.Array, own: Any, shared: Any) -> Any:
    """One job after another, those alone that are `trained [J]`, which come first. What is computed
    for a job, bit for bit, does not depend on how many there are: the compiler does not know. On a
    CPU it is no slower than `_side_by_side`."""
    function = jax.jit(function)  # so that it is traced once

    def job(number: jax.Array) -> Any:
        return function(jax.tree.map(lambda leaf: leaf[number], own), shared)

    def one(number: jax.Array, results: Any) -> Any:
        return jax.tree.map(
            lambda all_jobs, leaf: all_jobs.at[number].set(leaf), results, job(number)
        )

    blank = jax.tree.map(
        lambda leaf: jnp.zeros((len(trained), *leaf.shape), leaf.dtype),
        jax.eval_shape(job, jnp.int32(0)),
    )
    return jax.lax.fori_loop(jnp.int32(0), trained.sum(dtype=jnp.int32), one, blank)


def _side_by_side(function: Function, trained: jax.Array, own: Any, shared: Any) -> Any:
    """All jobs at once; those that are not `trained` are copies, and cost what they cost."""
    return jax.vmap(function, in_axes=(0, None))(own, shared)
