"""Where a run's work is done: settings that change no result, so no run's config has them."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from games.readers import cache
from psro.errors import SettingsError
from psro.oracles.checks import check_positive, check_types
from psro.training.pool import ON_PROCESSORS, Pool, PoolError

EXECUTORS = ("local", "processes", "ray")
MOST_WORKERS = 100_000
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_OF_A_CARD = 0.9
"""The part of a card's memory that all its processes take together."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExecutorConfig:
    """Where the work of a run is done. It changes no result."""

    executor: str = "local"
    """Where best responses, payoffs and seeds are computed: local (in this process), processes
    (several on this machine), or ray (a cluster; needs psro[ray]). The result is the same."""
    workers: int | None = None
    """Number of workers, with --executor processes or ray. By default one for each core, each GPU
    or each processor of the cluster."""
    task_limit: float | None = None
    """Seconds that a worker may take for one task. Then another worker does it. By default there is
    no limit, but a worker that gives no sign of life for two minutes is replaced."""
    gpu_share: float | None = None
    """The part of a GPU that each worker has: 1 = one worker a GPU, 0.5 = two, 0 = workers use
    processors alone. By default 1 where there are GPUs, with ray 0."""
    measuring_workers: int | None = None
    """Workers without a GPU, beside those that have one: they play the matches and walk through the
    games, and the others only train. By default there are none, and all do everything."""
    ray_address: str | None = None
    """Address of a Ray cluster; auto = the one that this machine belongs to. By default Ray starts
    on this machine, and ends with the command."""

    def __post_init__(self):
        check_types(self)
        if self.executor not in EXECUTORS:
            raise SettingsError(
                f"unknown executor {self.executor!r}; known: {', '.join(EXECUTORS)}"
            )
        counts = ("workers", "measuring_workers")
        check_positive("executor", self, *(n for n in (*counts, "task_limit") if self._has(n)))
        for name in counts:
            if self._has(name) and getattr(self, name) > MOST_WORKERS:
                number = getattr(self, name)
                raise SettingsError(f"{name} = {number} must be at most {MOST_WORKERS:,}")
        if self.gpu_share is not None and not 0 <= self.gpu_share <= 1:
            raise SettingsError(f"gpu_share = {self.gpu_share} must be between 0 and 1")
        for name, owners in (
            ("workers", EXECUTORS[1:]),
            ("task_limit", EXECUTORS[1:]),
            ("gpu_share", EXECUTORS[1:]),
            ("measuring_workers", EXECUTORS[1:]),
            ("ray_address", EXECUTORS[2:]),
        ):
            if self._has(name) and self.executor not in owners:
                raise SettingsError(f"{name} is for --executor {' or '.join(owners)}")
        if self.executor == "ray" and importlib.util.find_spec("ray") is None:
            raise PoolError("--executor ray needs Ray; install it with: pip install 'psro[ray]'")

    def _has(self, name: str) -> bool:
        return getattr(self, name) is not None

    def open(self, renew: int | None = None) -> Pool | None:
        """The workers; None for this process alone. `renew` is as in `Pool`.

        Raises:
            PoolError: Ray is not installed, or cannot be reached.
        """
        if self.executor == "local":
            return None
        from psro.training.worker import versions

        on_cards = bool(self.gpu_share)
        if self.executor == "processes":
            from psro.training.processes import Processes

            environments, measuring = self._environments(), self._measuring_environments()
            on_cards = any(_VISIBLE in environment for environment in environments)
            duties = ["training"] * len(environments) + ["measuring"] * len(measuring)
            crew: Any = Processes(environments + measuring, duties if measuring else None)
        else:
            from psro.training.ray_crew import RayCrew

            crew = RayCrew(
                self.ray_address,
                self.workers,
                _caches("~") | _devices() | _threads() | _memory(self.gpu_share),
                gpus=self.gpu_share or 0.0,
                measuring=self.measuring_workers or 0,
            )
        return Pool(
            crew,
            versions(),
            task_limit=self.task_limit,
            whole_requests=on_cards,
            renew=renew,
        )

    def _environments(self) -> list[dict[str, str]]:
        """Environment variables of each process. GPUs are dealt out in turn."""
        cores = len(os.sched_getaffinity(0))
        cards = [] if self.gpu_share == 0 else gpus()
        share = self.gpu_share or 1.0
        count = self.workers or (len(cards) * _on_a_card(share) if cards else cores)
        shared = _caches(None) | _devices() | _threads()
        if self.gpu_share == 0:
            shared |= ON_PROCESSORS
        if not cards:
            return [shared] * count
        shared |= _memory(share)
        return [shared | {_VISIBLE: cards[number % len(cards)]} for number in range(count)]

    def _measuring_environments(self) -> list[dict[str, str]]:
        """Environment variables of the workers that only measure, without a GPU."""
        shared = _caches(None) | _devices() | _threads() | ON_PROCESSORS | {_VISIBLE: ""}
        return [shared] * (self.measuring_workers or 0)


def _on_a_card(share: float) -> int:
    """The number of workers on a GPU if each has this share of it."""
    return max(1, int(1 / share))


def _memory(share: float | None) -> dict[str, str]:
    """Lets a worker take only its part of a card's memory, so that others fit on the card, and this
    process: it has a part of the first card."""
    if not share:
        return {}
    parts = _on_a_card(share) + 1
    return {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{_OF_A_CARD / parts:.3f}"}


def gpus() -> list[str]:
    """The NVIDIA GPUs that this process may use, as in `CUDA_VISIBLE_DEVICES`."""
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if platforms and not {"cuda", "gpu"} & set(platforms.split(",")):
        return []
    visible = os.environ.get(_VISIBLE)
    if visible is not None:
        return [card for card in visible.split(",") if card]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [str(n) for n, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]


def _devices() -> dict[str, str]:
    """Each worker has as many CPU devices as this process (`psro.oracles.devices`). How a job is
    divided does not change its result, but this number does: the compiler plans for it."""
    jax = sys.modules.get("jax")
    name, flags = "JAX_NUM_CPU_DEVICES", os.environ.get("XLA_FLAGS")
    number = os.environ.get(name) if jax is None else str(jax.config.jax_num_cpu_devices)
    devices = {} if number in (None, "-1") else {name: number}
    return devices | ({} if flags is None else {"XLA_FLAGS": flags})


def _threads() -> dict[str, str]:
    """Each worker has as many threads of OpenBLAS as this process: in how many parts it adds up a
    long dot product changes the rounding. A machine with fewer cores takes fewer, whatever it is
    told. (Ray would give one to each actor.)"""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
    set_by_user = next((os.environ[name] for name in names if name in os.environ), None)
    return {names[0]: set_by_user or str(len(os.sched_getaffinity(0)))}


def _caches(home: str | None) -> dict[str, str]:
    """The folders in which this process keeps compiled code and enumerated games. On another
    machine (`home` is given) they are below its home folder."""
    jax = sys.modules.get("jax")
    compiled = (
        os.environ.get("JAX_COMPILATION_CACHE_DIR")
        if jax is None
        else jax.config.jax_compilation_cache_dir
    )
    found: Mapping[str, str | None] = {
        "JAX_COMPILATION_CACHE_DIR": compiled,
        cache.FOLDER_VARIABLE: os.environ.get(cache.FOLDER_VARIABLE),
    }
    folders = {name: folder for name, folder in found.items() if folder}
    if home is not None:
        own = str(Path.home()) + os.sep
        folders = {
            name: f"{home}/{folder.removeprefix(own)}" if folder.startswith(own) else folder
            for name, folder in folders.items()
        }
    return folders | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}
