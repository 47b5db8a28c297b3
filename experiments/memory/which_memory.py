"""Which memory for games? Every cell on observations, and feed-forward networks on information
states, at equal decisions and at equal CPU seconds.

    python experiments/memory/which_memory.py [--games kuhn_poker ...] [--memories lstm ...]

In games that are enumerated, each memory trains a population by `psro run`'s defaults, several
seeds at once. The measure is the exact exploitability, as a share of the untrained policies': after
`--iterations` at equal decisions, and after as many iterations as fit into the CPU seconds of the
first memory at equal seconds. In phantom_ttt best responses to uniform play train with
`--decisions`, and the measure is the share of its exact exploitability that they do not find; at
equal seconds, with a half or twice as many decisions where these fit.

A memory is the name of a cell, which sees observations; `none` sees only the current one;
`information_state` is `none` on information states, which hold all that the player knows.
Compiling is not counted: seconds are those of the iterations after the first. The result is a table
and a figure; `--out` names their folder. Each curve is written there when it is measured, and a
command that was stopped measures only what is missing when it is given again.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

import psro
from games.readers.opening import open_game
from psro.measure.mixtures import uniform_play
from psro.oracles import PPO, Jobs, Populations, PPOConfig
from psro.policies.networks import CELLS
from psro.policies.policy import Policy
from psro.runs.intervals import half_interval
from psro.runs.seeds import create_many
from psro.training.matches import Matches

TREES = ("kuhn_poker", "leduc_poker", "liars_dice(numdice=1)")
PHANTOM = "phantom_ttt"
UNIFORM = (0.953125 + 0.624339) / 2
"""Exact exploitability of uniform play in phantom_ttt."""
INFORMATION_STATE = "information_state"
EPISODES = 8_192
"""By which each best response is measured in phantom_ttt: an error of about 0.01."""
MEMORIES = ("lstm", *(name for name in CELLS if name != "lstm"), INFORMATION_STATE)


@dataclasses.dataclass(frozen=True)
class Curve:
    """One memory in one game.

    Attributes:
        left: of each seed and iteration, the share that is left, `[seeds, iterations + 1]`.
        decisions: own decisions of both players until each iteration, `[iterations + 1]`.
        seconds: CPU seconds of a seed until each iteration, `[iterations + 1]`.
    """

    game: str
    memory: str
    left: np.ndarray
    decisions: np.ndarray
    seconds: np.ndarray

    def at(self, what: np.ndarray, most: float) -> tuple[float, float]:
        """Mean and half the 95 % interval at the last point where `what` is at most `most`."""
        last = int(np.flatnonzero(what <= most * (1 + 1e-9))[-1])
        values = self.left[:, last]
        return float(values.mean()), half_interval(values)


def seen_by(memory: str) -> tuple[str, str]:
    """The cell, and what the policy sees."""
    return ("none", memory) if memory == INFORMATION_STATE else (memory, "observation")


def populations(
    game: str, memory: str, given: argparse.Namespace, folder: Path, enough: float
) -> Curve:
    """By PSRO in an enumerated game: `--iterations`, and then as many as fit into `enough` CPU
    seconds of a seed, but no more than twice as many."""
    cell, observation = seen_by(memory)
    config = psro.RunConfig(
        game=game,
        cell=cell,
        observation=observation,
        iterations=2 * given.iterations,  # a memory that is cheap gets more of them
        tolerance=0.0,
        seed=given.first_seed,
    )
    runs = create_many(config, given.seeds, folder)
    clock = []
    for _ in runs.train():
        clock.append(time.process_time())
        done = len(clock) - 1
        if done >= max(given.iterations, 2) and seconds_each(clock, given.seeds) * done >= enough:
            break
    if runs.failed:
        raise SystemExit(f"{game}, {memory}: {runs.failed}")
    distances = np.array(
        [[record.exploitability for record in run.records] for run in runs.experiments]
    )
    decisions = np.cumsum([sum(r.decisions) for r in runs.experiments[0].records])
    each = seconds_each(clock, given.seeds)
    return Curve(
        game=game,
        memory=memory,
        left=distances / distances[:, :1],
        decisions=decisions,
        seconds=each * np.arange(len(clock)),
    )


def seconds_each(clock: list[float], seeds: int) -> float:
    """CPU seconds of an iteration of one seed, without the first iteration, which compiles."""
    return (clock[-1] - clock[1]) / (len(clock) - 2) / seeds


def exploiters(memory: str, given: argparse.Namespace, enough: float) -> Curve:
    """Against uniform play in phantom_ttt, with 1/2 and 1 times the decisions, and with 2 times
    where these do not take more than `enough` CPU seconds of a seed."""
    cell, observation = seen_by(memory)
    game = open_game(PHANTOM, evaluation="sampled", backend="native", observation=observation).game
    policy = Policy(
        observation_space=game.observation_space,
        action_space=game.action_space,
        hidden_size=32,
        cell=cell,
    )
    seeds, seats = given.seeds, range(game.num_players)
    keys = jax.vmap(lambda seed: jax.random.key(given.first_seed + seed))(np.arange(seeds))
    matches, decisions, seconds, left = Matches(game, policy), [0], [0.0], [np.ones(seeds)]
    fresh = policy.init_many(jnp.repeat(keys, 2))
    uniform = uniform_play(game, policy).params
    jobs = Jobs(
        player=np.tile(seats, seeds).astype(np.int32),
        key=jnp.repeat(keys, 2),
        initial=fresh,
        populations=Populations(
            params=jax.tree.map(lambda leaf: leaf[None], uniform),
            group=np.zeros(2 * seeds, np.int32),
        ),
        opponents=np.ones((2 * seeds, 1)),
        exact=None,
    )
    for share in (0.5, 1, 2):
        if share == 2 and 2 * seconds[-1] > enough:
            break
        settings = PPOConfig(decisions=int(share * given.decisions)).for_sampled_game()
        oracle = PPO(game, policy, settings)
        if share == 0.5:
            oracle(jobs)  # compiles
            start = time.process_time()
        results = oracle(jobs)
        if share == 0.5:
            half = (time.process_time() - start) / seeds
        seconds.append(half * share / 0.5)
        decisions.append(int(results.decisions[:2].sum()))
        players = [
            jax.tree.map(
                lambda new, old, p=p: np.append(new[p::2], old[p], 0), results.params, uniform
            )
            for p in seats
        ]
        number = EPISODES // matches.episodes
        earned = np.zeros(seeds)
        for p in seats:
            profiles = np.full((seeds * number, 2), seeds)  # the last one is uniform
            profiles[:, p] = np.repeat(np.arange(seeds), number)
            played = matches(players, profiles, jax.random.split(keys[0], len(profiles)))
            earned += played.returns[..., p].reshape(seeds, -1).mean(axis=1)
        left.append(1 - earned / 2 / UNIFORM)
    return Curve(
        game=PHANTOM,
        memory=memory,
        left=np.array(left).T,
        decisions=np.array(decisions),
        seconds=np.array(seconds),
    )


def saved_curves(path: Path, settings: dict[str, int]) -> list[Curve]:
    """Those that an earlier command with the same settings has measured."""
    if not path.exists():
        return []
    saved = json.loads(path.read_text())
    if saved["settings"] != settings:
        raise SystemExit(f"{path} holds curves of {saved['settings']}; choose another --out")
    return [
        Curve(**{k: np.array(v) if isinstance(v, list) else v for k, v in fields.items()})
        for fields in saved["curves"]
    ]


def save_curves(path: Path, settings: dict[str, int], curves: list[Curve]) -> None:
    fields = [
        {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(curve).items()}
        for curve in curves
    ]
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps({"settings": settings, "curves": fields}))
    aside.replace(path)


def budget_of(curves: list[Curve], game: str, iterations: int) -> tuple[float, float]:
    """Decisions and seconds that every memory of a game is given: those of its first memory after
    `iterations`, or in phantom_ttt with once the decisions. Without a first memory, nothing."""
    for curve in curves:
        if curve.game == game:
            at = 2 if game == PHANTOM else iterations
            return float(curve.decisions[at]), float(curve.seconds[at])
    return 0.0, 0.0


def table(curves: list[Curve], iterations: int) -> pd.DataFrame:
    """A row for each game and memory."""
    rows = []
    for curve in curves:
        decisions, seconds = budget_of(curves, curve.game, iterations)
        row = {"game": curve.game, "memory": curve.memory}
        for name, budget in (("decisions", decisions), ("seconds", seconds)):
            mean, interval = curve.at(getattr(curve, name), budget)
            row[f"left at equal {name}"], row[f"± ({name})"] = mean, interval
        row["CPU s"] = np.interp(decisions, curve.decisions, curve.seconds)
        rows.append(row)
    return pd.DataFrame(rows)


def draw(curves: list[Curve], path: Path) -> None:
    """What is left against decisions and against CPU seconds, a row for each game."""
    names = list(dict.fromkeys(curve.game for curve in curves))
    figure, axes = plt.subplots(
        len(names), 2, figsize=(11, 3.6 * len(names)), squeeze=False, layout="constrained"
    )
    colours = plt.get_cmap("tab20").colors
    for row, game in zip(axes, names, strict=True):
        for curve in (curve for curve in curves if curve.game == game):
            colour = colours[MEMORIES.index(curve.memory) % len(colours)]
            for axis, what in zip(row, (curve.decisions, curve.seconds), strict=True):
                axis.plot(what[1:], curve.left.mean(axis=0)[1:], color=colour, label=curve.memory)
        row[0].set(xlabel="own decisions", ylabel=f"{game}\nshare left")
        row[1].set(xlabel="CPU seconds of a seed")
        for axis in row:
            axis.set(xscale="log", yscale="log")
            for ticks in (axis.xaxis, axis.yaxis):  # so few that they do not overlap
                ticks.set_major_locator(LogLocator(subs=(1, 2, 5)))
                ticks.set_major_formatter(lambda tick, _: f"{tick:g}")
                ticks.set_minor_formatter(NullFormatter())
        row[1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--games", nargs="+", default=[*TREES, PHANTOM], choices=[*TREES, PHANTOM])
    parser.add_argument("--memories", nargs="+", default=[*MEMORIES], choices=[*MEMORIES])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=10, help="at equal decisions")
    parser.add_argument("--decisions", type=int, default=131_072, help="of exploiters")
    parser.add_argument("--out", type=Path, default=Path("experiments/memory/results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "curves.json"
    settings = {
        name: getattr(given, name) for name in ("seeds", "first_seed", "iterations", "decisions")
    }
    curves = saved_curves(path, settings)
    done = {(curve.game, curve.memory) for curve in curves}
    for game, memory in itertools.product(given.games, given.memories):
        if (game, memory) in done:
            continue
        enough = budget_of(curves, game, given.iterations)[1]
        with tempfile.TemporaryDirectory() as folder:
            curves.append(
                exploiters(memory, given, enough)
                if game == PHANTOM
                else populations(game, memory, given, Path(folder) / "runs", enough)
            )
        save_curves(path, settings, curves)
        print(table(curves, given.iterations).tail(1).to_string(index=False), flush=True)
    table(curves, given.iterations).to_csv(given.out / "which_memory.csv", index=False)
    draw(curves, given.out / "which_memory.png")


if __name__ == "__main__":
    main()
