"""The requests of training, and the functions that answer them.

Training is a generator. It yields iterations and requests for best responses, and receives the
results of the requests. The caller decides where the work is done. It may answer the requests of
several runs at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from psro.oracles import ExactView, Jobs, Oracle, Populations, Results
from psro.policies.jax_settings import own_settings
from psro.training.evaluators import Elsewhere

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ask:
    """A request for best responses.

    Attributes:
        key: the request's random key `[]`, different for every request of a run.
        jobs: what to train, all for one group of `Populations`.
    """

    key: jax.Array
    jobs: Jobs


class Oracles(Protocol):
    """What answers requests: `psro.runs.setup.Setup` is one.

    Attributes:
        oracle: trains best responses.
        self_play: trains all players of a run together.
    """

    oracle: Oracle
    self_play: Oracle


def oracle_for(oracles: Oracles, jobs: Jobs) -> Oracle:
    """The oracle that trains these jobs."""
    return oracles.oracle if jobs.progress is None else oracles.self_play


class Executor(Protocol):
    """Does the parts of a run's work that do not depend on each other. Where it does them changes
    no result: on a CPU every result is the same, bit for bit.

    Attributes:
        elsewhere: measures the runs' policies; None where the process itself does.
    """

    elsewhere: Elsewhere | None

    def respond(self, asks: Sequence[Ask]) -> Sequence[Results]:
        """The best responses that runs ask for, whose settings differ only in their seed. The
        results of a request do not depend on the other requests."""
        ...


class Local:
    """The executor in this process. One call of the oracle answers all requests.

    Args:
        oracles: those of the runs.
        most: largest number of requests at once. Shapes have room for them all, so fewer requests
            do not compile anything again.
    """

    elsewhere = None

    def __init__(self, oracles: Oracles, most: int = 1):
        self._oracles, self._most = oracles, most

    @own_settings()
    def respond(self, asks: Sequence[Ask]) -> list[Results]:
        answers: dict[int, Results] = {}
        for kind in (False, True):  # best responses, and self-play
            numbers = [n for n, ask in enumerate(asks) if (ask.jobs.progress is not None) == kind]
            if numbers:
                requests = [asks[number].jobs for number in numbers]
                answers |= zip(numbers, self._trained(requests), strict=True)
        return [answers[number] for number in range(len(asks))]

    def _trained(self, requests: Sequence[Jobs]) -> list[Results]:
        """The results of requests for one oracle."""
        oracle = oracle_for(self._oracles, requests[0])
        if oracle.conditional:  # such a run's network learns from all jobs of that run
            return [oracle(jobs) for jobs in requests]
        results = oracle(together(requests, self._most))
        ends = np.cumsum([0, *map(len, requests)])
        parts = [slice(first, last) for first, last in itertools.pairwise(ends)]
        return [jax.tree.map(lambda leaf, part=part: leaf[part], results) for part in parts]


def together(requests: Sequence[Jobs], most: int) -> Jobs:
    """All jobs as jobs of `most` groups. The first groups are the requests, one each. The missing
    groups repeat the first. Populations get the largest capacity; nothing else of a job changes."""
    if len(requests) == most == 1:
        return requests[0]
    capacity = max(jobs.opponents.shape[1] for jobs in requests)
    groups = [*requests, *[requests[0]] * (most - len(requests))]
    return Jobs(
        player=np.concatenate([jobs.player for jobs in requests]),
        key=jnp.concatenate([jobs.key for jobs in requests]),
        initial=jax.tree.map(
            lambda *leaves: np.concatenate(leaves), *(jobs.initial for jobs in requests)
        ),
        populations=Populations(
            params=jax.tree.map(
                lambda *leaves: np.concatenate(
                    [_with_room(leaf, (2,), capacity) for leaf in leaves]
                ),
                *(jobs.populations.params for jobs in groups),
            ),
            group=np.repeat(np.arange(len(requests), dtype=np.int32), list(map(len, requests))),
        ),
        opponents=np.concatenate(
            [
                _with_room(jobs.opponents, range(1, jobs.opponents.ndim), capacity)
                for jobs in requests
            ]
        ),
        exact=None
        if requests[0].exact is None
        else ExactView(
            **{
                field.name: _end_to_end([getattr(jobs.exact, field.name) for jobs in requests])
                for field in dataclasses.fields(ExactView)
            }
        ),
        progress=None
        if requests[0].progress is None
        else np.concatenate([jobs.progress for jobs in requests]),
    )


def _with_room(array: np.ndarray, axes: Sequence[int], capacity: int) -> np.ndarray:
    """Pads with zeros along the axes of policies, up to a capacity."""
    missing = [capacity - size if n in axes else 0 for n, size in enumerate(array.shape)]
    return np.pad(array, [(0, more) for more in missing]) if any(missing) else array


def _end_to_end(parts: Sequence[Sequence[Any] | None]) -> list[Any] | None:
    if any(part is None for part in parts):
        return None
    return [entry for part in parts for entry in part]


def answered(training: Generator[Ask | T, Results | None, None], executor: Executor) -> Iterator[T]:
    """Yields the iterations of one run's training, and answers its requests."""
    answer = None
    with contextlib.closing(training):
        while True:
            try:
                said = training.send(answer)
            except StopIteration:
                return
            answer = None
            if isinstance(said, Ask):
                (answer,) = executor.respond([said])
            else:
                yield said
