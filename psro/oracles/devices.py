"""Jobs and their environments, spread over the visible devices.

Jobs do not depend on each other, so devices do not communicate: each device maps over its own jobs.
The remaining devices may share the environments of a job. On a CPU the "devices" are threads. The
command `psro` asks for `CPU_DEVICES` threads (`psro.oracles.settings`) on every machine, so that a
run does not depend on the number of cores.
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
"""Maps a job's own PyTree and the PyTree that all jobs share to results. The keyword `spread` is a
function of an array whose leading axis is environments: it lets the compiler spread the array over
devices."""


class OverJobs:
    """A function of one job, mapped over jobs and compiled. It uses a number of devices that
    divides the number of jobs.

    A call with fewer jobs than an earlier call compiles nothing: the missing jobs are filled with
    copies, which are not trained.

    Args:
        function: takes one job.
        env_devices: devices that share the environments of a job. 0 means 1 on a CPU, and on
            accelerators all devices that remain when each job has one.
    """

    def __init__(self, function: Function, *, env_devices: int = 1):
        self._function = function
        self._env_devices = env_devices
        self._most = 0
        self._compiled: dict[int, Callable[..., Any]] = {}

    def __call__(self, own: Any, shared: Any) -> Any:
        """Results on the host, leaves `[J, ...]`. `own` is each job's own input, leaves
        `[J, ...]`; `shared` is the input that all jobs share."""
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

    def compile(self, own: Any, shared: Any) -> None:
        """Compiles, ahead of time, what a call with inputs of these shapes runs. Calls with other
        shapes must not follow. Several programs can be compiled in threads."""
        self._most = len(jax.tree.leaves(own)[0])
        trained = np.ones(self._most, bool)
        lowered = self._compile(self._most).lower(*jax.device_put((trained, own, shared)))
        self._compiled[self._most] = lowered.compile()

    def _compile(self, num_jobs: int) -> Callable[..., Any]:
        devices = jax.devices()
        envs = self._env_devices or 1
        if envs > len(devices):
            raise SettingsError(
                f"env_devices = {envs} is more than the {len(devices)} devices of this machine"
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
    """One job after another. Only jobs with `trained [J]` run, and they come first. The result of a
    job, bit for bit, does not depend on the number of jobs, because the compiler does not know it.
    On a CPU this is no slower than `_side_by_side`."""
    function = jax.jit(function)  # to trace it only once

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
    """All jobs at once. Jobs that are not `trained` are copies, and they are computed too."""
    return jax.vmap(function, in_axes=(0, None))(own, shared)
