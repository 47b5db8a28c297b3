"""Speed of `games/`: enumerating beside a bare walk over pyspiel's states, and playing."""

import time

import jax
import jax.numpy as jnp
import pyspiel

import games
from games.readers.openspiel import load_openspiel
from games.tree_game import TreeGame

NAMES = ("leduc_poker", "liars_dice(numdice=1)", "tiny_bridge_2p")


def best(function, repeats: int = 5) -> float:
    """Least seconds of several calls: what the machine takes when nothing else disturbs it."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def walk(game: pyspiel.Game) -> int:
    """The least that enumerating takes in Python: every state, its player, strings, returns."""
    seen, histories, stack = set(), 0, [game.new_initial_state()]
    while stack:
        state = stack.pop()
        histories += 1
        player = state.current_player()
        if player == pyspiel.PlayerId.TERMINAL:
            state.returns()
        elif player == pyspiel.PlayerId.CHANCE:
            stack += [state.child(action) for action, _ in state.chance_outcomes()]
        else:
            seen.add(state.information_state_string())
            stack += [state.child(action) for action in state.legal_actions()]
    return histories


def steps_per_second(tree: games.GameTree, num_envs: int = 8192, steps: int = 200) -> float:
    """Uniformly random play with restarts, all environments in one compiled loop."""
    game = TreeGame(tree)

    def step(state, key):
        keys = jax.random.split(key, 2 * num_envs + 1)
        count = state.legal.sum(axis=1)
        pick = jax.random.uniform(keys[0], (num_envs,)) * count
        action = (jnp.cumsum(state.legal, axis=1) <= pick[:, None]).sum(axis=1)
        state = jax.vmap(game.step)(state, action, keys[1 : num_envs + 1])
        fresh = jax.vmap(game.init)(keys[num_envs + 1 :])
        over = state.ended
        return jax.tree.map(
            lambda new, old: jnp.where(over.reshape(-1, *(1,) * (old.ndim - 1)), new, old),
            fresh,
            state,
        ), state.rewards[:, 0].sum()

    @jax.jit
    def play(key):
        state = jax.vmap(game.init)(jax.random.split(key, num_envs))
        return jax.lax.scan(step, state, jax.random.split(key, steps))[1].sum()

    play(jax.random.key(0)).block_until_ready()
    return num_envs * steps / best(lambda: play(jax.random.key(1)).block_until_ready())


def main() -> None:
    print("| game | histories | compiled per second | of a bare pyspiel walk | TreeGame steps/s |")
    print("|---|---|---|---|---|")
    for name in NAMES:
        tree = games.load(name)
        game = load_openspiel(name)
        compiled = tree.num_histories / best(lambda name=name: games.load(name))
        bare = tree.num_histories / best(lambda game=game: walk(game))
        print(
            f"| {name} | {tree.num_histories:,} | {compiled:,.0f} | {compiled / bare:.0%} | "
            f"{steps_per_second(tree) / 1e6:.1f} M |",
            flush=True,
        )


if __name__ == "__main__":
    main()
