"""The exact best response as a table: with it PSRO is double oracle (McMahan et al. 2003)."""

from __future__ import annotations

import jax
import numpy as np

from games.game import Game
from psro import exact
from psro.errors import SettingsError
from psro.oracles.base import Jobs, Results
from psro.policies.form_table import FormTable
from psro.policies.policy import Params, TablePolicy

_TIE = 1e-9
"""Actions whose values differ by no more are equally good. The unit is the largest return of a
sequence, or the span of all returns if the span is smaller."""
_TIE_FLOAT32 = 1e-6
"""The same where gains are float32, as a share of all that can be added up after an info state."""


class BestResponse:
    """The oracle: `BestResponse(game, policy)(jobs)`. It has no settings.

    Actions that are equally good are played with equal probability. This matters most where the
    opponents never lead: a pure policy there would be arbitrary and exploitable. If no player's
    best response is new to its population, ties are broken at random at the info states to which
    the opponents lead: another best response may be new.
    """

    tabular = True
    conditional = False
    world_model = False
    on_form: type | None = None  # this class, see below
    enumerated = True

    def __init__(self, game: Game, policy: TablePolicy | FormTable, config: None = None):
        self._form = game.tree or game.form
        if self._form is None:
            raise SettingsError("oracle best_response needs a game that is measured exactly")
        self._span = game.span
        self._policy = policy

    def __call__(self, jobs: Jobs) -> Results:
        players, groups = np.asarray(jobs.player), np.asarray(jobs.populations.group)
        seeds = jax.device_get(jax.random.key_data(jobs.key))
        firsts = {group: int(np.argmax(groups == group)) for group in np.unique(groups)}
        rngs = {group: np.random.default_rng(seeds[job]) for group, job in firsts.items()}
        responses = []
        together = len(np.unique(players))  # jobs that respond to the same meta-strategy
        for first in range(0, len(players), together):
            alike, group = range(first, first + together), groups[first]
            population = jax.tree.map(
                lambda leaf, group=group: leaf[group], jobs.populations.params
            )
            best = [self._response(jobs, job) for job in alike]
            if all(
                _is_among(table, players[job], population)
                for job, (table, _) in zip(alike, best, strict=True)
            ):
                best = [self._response(jobs, job, rngs[group]) for job in alike]
            responses += best
        params, values = zip(*responses, strict=True)
        none = np.zeros(len(params), int)
        return Results(
            params=jax.tree.map(lambda *leaves: np.stack(leaves), *params),
            decisions=none,
            episodes=none,
            diverged=none > 0,
            curve=np.array(values)[:, None],
        )

    def _response(
        self, jobs: Jobs, job: int, rng: np.random.Generator | None = None
    ) -> tuple[Params, float]:
        """A job's policy and its value. With `rng`, ties are broken at random."""
        seat, gain = int(jobs.player[job]), jobs.exact.gains[job]
        player, tie = self._form.players[seat], _TIE * min(np.abs(gain).max(), self._span)
        if jobs.exact.reach is None:  # gains are float32: equal actions differ by rounding
            led = exact.magnitudes(player, gain)
            tie = tie + _TIE_FLOAT32 * led
        else:
            led = jobs.exact.reach[job]
        if rng is None:
            best = exact.best_response_to(player, gain, mix_ties=tie)
        else:
            met = np.append(False, led[player.info_state[1:]] > 0)
            most = tie if np.ndim(tie) == 0 else np.append(0.0, tie[player.info_state[1:]])
            broken = gain + rng.uniform(0, 1, len(gain)) * most * met
            best = exact.best_response_to(player, broken, mix_ties=0.0)
        return self._policy.from_plan(self._form, seat, best.plan), gain @ best.plan


def _is_among(table: Params, player: int, populations: Params) -> bool:
    """Whether a player's population has a policy with exactly these logits."""
    same = [
        (np.asarray(of_all)[player] == np.asarray(rows))
        .reshape(len(of_all[player]), -1)
        .all(axis=1)
        for rows, of_all in zip(jax.tree.leaves(table), jax.tree.leaves(populations), strict=True)
    ]
    return bool(np.logical_and.reduce(same).any())


BestResponse.on_form = BestResponse
