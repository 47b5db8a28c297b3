from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hedge:
    strategy: np.ndarray
    total: np.ndarray
    regrets: np.ndarray
    played: int

    @classmethod
    def fresh(cls, size, rounds):
        u = np.full(size, 1 / size)
        return cls(strategy=u, total=np.zeros(size), regrets=np.zeros(size), played=0)

    @property
    def average(self):
        if not self.played:
            return self.strategy
        return self.total / self.total.sum()

    def updated(self, payoffs):
        r = np.maximum(self.regrets + payoffs - self.strategy @ payoffs, 0)
        s = r / r.sum() if r.sum() > 0 else self.strategy
        n = self.played + 1
        return Hedge(strategy=s, total=self.total + n * self.strategy, regrets=r, played=n)
