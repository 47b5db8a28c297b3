"""Episodes side by side: while one agent thinks, others are asked.

An agent plays one episode at a time, because it may remember. So a round is made of waves in which
each entrant meets one other, and a wave ends when all its episodes have. In this way an agent's
episodes come in an order that does not depend on how fast the others are.
"""

from __future__ import annotations

import select
from collections.abc import Generator, Iterable, Iterator

from psro.measure.arena.process import Guest

Task = Generator[Guest, None, None]
"""Plays; yields an agent that it has asked, and goes on when that has answered or is out of
time."""


def waves(count: int) -> Iterator[list[tuple[int, int]]]:
    """Pairs of the numbers below `count` such that each number is once in a wave, at most, and each
    pair is once in all of them: the circle method of tournaments; then each number with itself."""
    places: list[int | None] = [*range(count), *([None] if count % 2 else [])]
    half = len(places) // 2
    for _ in range(len(places) - 1):
        pairs = zip(places[:half], reversed(places[half:]), strict=True)
        yield [(i, j) for i, j in pairs if i is not None and j is not None]
        places = [places[0], places[-1], *places[1:-1]]
    yield [(i, i) for i in range(count)]


def play_together(tasks: Iterable[Task]) -> None:
    """Runs tasks to their ends. No two may ask the same agent."""
    waiting: dict[int, tuple[Task, Guest]] = {}

    def advance(task: Task) -> None:
        for guest in task:
            if not guest.has_answered:
                waiting[guest.fileno()] = task, guest
                return

    for task in tasks:
        advance(task)
    while waiting:
        left = min(guest.seconds_left for _, guest in waiting.values())
        ready: list[int] = select.select(list(waiting), [], [], left)[0]
        if not ready:
            ready = [number for number, (_, g) in waiting.items() if g.seconds_left <= 0]
        for task in [waiting.pop(number)[0] for number in ready]:
            advance(task)
