"""How fast are native games? Decisions per CPU second under random play, beside nashbench and pgx.

    python experiments/speed/native.py
    python experiments/speed/native.py --games "dark_hex(board_size=5)" leduc_poker

A batch of environments plays uniformly random legal actions in one compiled loop; an environment
whose episode has ended starts the next one in the same step, so every environment decides in every
step. Each decision's observation is made, and the loop carries it to the next step; a peer's loop
carries what the peer shows its players. Figures are millions of decisions per second of CPU time,
all threads counted, compilation excluded, the best of some rounds in which ours and the peers take
turns.

nashbench shows OpenSpiel's information state with the seat; its ratio is to our information states.
pgx's poker has its own observations (and deals the first seat at random); its ratio is to the
slower of our two. A peer that is not installed, or does not have the game, leaves its cells empty.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from games import OBSERVATIONS, GameError
from games.native import native_game

NASHBENCH = {
    "kuhn_poker": "kuhn_poker",
    "leduc_poker": "leduc_poker",
    "phantom_ttt": "phantom_ttt",
    "phantom_ttt(gameversion=abrupt)": "phantom_ttt_abrupt",
    "dark_hex": "dark_hex3",
    "dark_hex(gameversion=adh)": "dark_hex3_abrupt",
    "goofspiel(imp_info=True,num_cards=6)": "goofspiel",
}
"""Our names of nashbench's games."""
PGX = {"kuhn_poker": "kuhn_poker", "leduc_poker": "leduc_holdem"}
"""Our names of pgx's games."""
NAMES = [
    *NASHBENCH,
    "phantom_ttt(obstype=reveal-numturns)",
    "dark_hex(board_size=4)",
    "dark_hex(board_size=8)",
    "kuhn_poker(players=3)",
    "leduc_poker(players=3)",
    "liars_dice",
    "liars_dice(numdice=2)",
    "liars_dice(numdice=5)",
    "goofspiel(imp_info=True,num_cards=13,points_order=descending)",
    "goofspiel(players=3,imp_info=True,num_cards=6)",
    "battleship",
    "battleship(board_width=3,board_height=3,ship_sizes=[2],ship_values=[1.0],num_shots=4)",
    "oshi_zumo",
    "oshi_zumo(coins=6)",
]
ROUNDS = 3
UNROLLED = 32
"""Legal actions are counted in one kernel up to so many actions."""


@dataclasses.dataclass(frozen=True)
class Player:
    """A game, one environment at a time.

    Attributes:
        start: of a key, what the loop carries.
        step: of that, an action and a key, what it carries next; it starts new episodes.
        legal: the legal actions in it, bool `[A]`.
    """

    start: Callable[[jax.Array], Any]
    step: Callable[[Any, jax.Array, jax.Array], Any]
    legal: Callable[[Any], jax.Array]


def native(name: str, observation: str) -> Player:
    game = native_game(name, observation)

    def start(key):
        return game.init(key), jnp.zeros(game.observation_size)

    def step(carry, action, key):
        before, _ = carry
        step_key, start_key = jax.random.split(key)
        state = game.step(before, action, step_key)
        return restarted(state, game.init(start_key), state.ended), game.observe(before)

    return Player(start, step, lambda carry: carry[0].legal)


def nashbench(name: str) -> Player:
    import nashbench

    game = nashbench.make(name)
    step = nashbench.auto_reset(game)
    return Player(
        game.reset,
        lambda carry, action, key: step(carry[0], action),
        lambda carry: carry[1].legal_action_mask,
    )


def pgx(name: str) -> Player:
    import pgx

    game = pgx.make(name)

    def step(before, action, key):
        step_key, start_key = jax.random.split(key)
        state = game.step(before, action, step_key)
        return restarted(state, game.init(start_key), state.terminated | state.truncated)

    return Player(game.init, step, lambda state: state.legal_action_mask)


def restarted(state: Any, fresh: Any, ended: jax.Array) -> Any:
    """The fresh state where the episode has ended."""
    return jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, state)


def random_action(legal: jax.Array, number: jax.Array) -> jax.Array:
    """A uniformly random legal action of each row, by 16 bits of `number`: int32 `[B]`.

    It ends in a reduction, which XLA does not compute anew for all that depends on the action.
    """
    count = legal.sum(axis=1, dtype=jnp.uint32)
    pick = ((number >> 16) * count >> 16).astype(jnp.int32)
    if legal.shape[1] > UNROLLED:
        rank = jnp.cumsum(legal, axis=1, dtype=jnp.int32) - legal
    else:
        ranks = [jnp.zeros_like(pick)]
        for action in range(legal.shape[1] - 1):
            ranks.append(ranks[-1] + legal[:, action])
        rank = jnp.stack(ranks, axis=1)
    return jnp.argmax(legal & (rank == pick[:, None]), axis=1).astype(jnp.int32)


def loop(player: Player, num_envs: int, num_steps: int) -> Callable[[jax.Array], Any]:
    """Random play, compiled; of a key."""

    def step(carry, key):
        action_key, step_key = jax.random.split(key)
        legal = jax.vmap(player.legal)(carry)
        action = random_action(legal, jax.random.bits(action_key, (num_envs,)))
        return jax.vmap(player.step)(carry, action, jax.random.split(step_key, num_envs)), None

    def play(key):
        start_key, key = jax.random.split(key)
        carry = jax.vmap(player.start)(jax.random.split(start_key, num_envs))
        carry, _ = jax.lax.scan(step, carry, jax.random.split(key, num_steps))
        numbers = [
            x for x in jax.tree.leaves(carry) if not jnp.issubdtype(x.dtype, jax.dtypes.extended)
        ]
        return [x.sum() for x in numbers]

    return jax.jit(play).lower(jax.random.key(0)).compile()


def rates(players: list[Player], num_envs: int, num_steps: int) -> list[float]:
    """Each one's millions of decisions per CPU second."""
    loops = [loop(player, num_envs, num_steps) for player in players]
    best = [float("inf")] * len(loops)
    for index in range(ROUNDS):
        for which, play in enumerate(loops):
            start = time.process_time()
            jax.block_until_ready(play(jax.random.key(index)))
            best[which] = min(best[which], time.process_time() - start)
    return [num_envs * num_steps / seconds / 1e6 for seconds in best]


def row(name: str, peers: dict[str, Player], num_envs: int, num_steps: int) -> str:
    """The table's line on a game."""
    ours = {}
    for observation in OBSERVATIONS:
        try:
            ours[observation] = native(name, observation)
        except GameError as error:
            missing = str(error)
    if not ours:
        return f"| {name} | {missing} | | | |"
    players = ours | peers
    speed = dict(zip(players, rates(list(players.values()), num_envs, num_steps), strict=True))
    cells = [f"{speed[key]:.2f}" if key in ours else "" for key in OBSERVATIONS]
    basis = {
        "nashbench": speed.get("information_state"),
        "pgx": min(speed[observation] for observation in ours),
    }
    for peer, reference in basis.items():
        cells.append(f"{speed[peer]:.2f} ({reference / speed[peer]:.1f})" if peer in peers else "")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--games", nargs="+", default=NAMES, metavar="NAME")
    parser.add_argument("--envs", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=1000)
    arguments = parser.parse_args()
    makers = {"nashbench": (nashbench, NASHBENCH), "pgx": (pgx, PGX)}
    for peer in list(makers):
        if importlib.util.find_spec(peer) is None:
            print(f"{peer} is not installed: not measured.")
            del makers[peer]
    print("\nMillions of decisions per CPU second; behind a peer's, ours as a multiple of it.\n")
    print("| game | information state | observation | nashbench | pgx |")
    print("|---|---|---|---|---|")
    for name in arguments.games:
        peers = {peer: make(names[name]) for peer, (make, names) in makers.items() if name in names}
        print(row(name, peers, arguments.envs, arguments.steps), flush=True)


if __name__ == "__main__":
    main()
