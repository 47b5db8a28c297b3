"""Exact quantities on an accelerator: what they take, and that they equal the processor's.

    python experiments/large/accelerator.py                  # one GPU: under eight minutes
    python experiments/large/accelerator.py --reduced        # small games, on any machine

Games by public states, by JAX in float64 (`psro.exact.public_on_device`). A line for each: info
states, seconds of opening it, of the first NashConv of uniform play (with compiling), of the second
one, the device's memory, and the largest difference from numpy's, where the processor measures it
too. Liar's Dice with two dice of six faces has 352 million info states.
"""

from __future__ import annotations

import argparse
import time

import jax
import numpy as np

from games.public import public_tree
from psro import exact
from psro.exact.public_on_device import DevicePublicTree
from psro.measure.simple_play import uniform

DICE = "liars_dice(numdice={},dice_sides={})"
SIZES = ((1, 6), (2, 4), (2, 5), (2, 6))
REDUCED = ((1, 2), (1, 4), (2, 2), (2, 3))
COMPARED = 2e7
"""Info states of the largest game that the processor measures too."""
COLUMNS = (
    "game", "info states", "histories", "open s", "first s", "second s", "GB", "NashConv",
    "difference",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reduced", action="store_true", help="small games, on any machine")
    parser.add_argument("--device", help="cpu, gpu or tpu; by default JAX's first")
    arguments = parser.parse_args()
    sizes = REDUCED if arguments.reduced else SIZES
    print(f"# {jax.devices(arguments.device)[0].device_kind}, jax {jax.__version__}")
    print("\t".join(COLUMNS))
    for size in sizes:
        print("\t".join(measured(DICE.format(*size), arguments.device)), flush=True)


def measured(name: str, platform: str | None) -> list[str]:
    begin = time.perf_counter()
    form = public_tree(name)
    device = DevicePublicTree(form, platform)
    times = [time.perf_counter() - begin]
    for _ in range(2):
        begin = time.perf_counter()
        found = device.uniform_exploitability()
        times.append(time.perf_counter() - begin)
    memory = (device.device.memory_stats() or {}).get("peak_bytes_in_use", 0) / 1e9
    difference = "not compared"
    if form.num_info_states <= COMPARED:
        expected = exact.exploitability(form, uniform(form))
        difference = f"{np.abs(found.best_response_value - expected.best_response_value).max():.1e}"
    return [
        name, str(form.num_info_states), str(form.num_histories),
        *(f"{seconds:.2f}" for seconds in times),
        f"{memory:.2f}", f"{found.nash_conv:.9f}", difference,
    ]  # fmt: skip


if __name__ == "__main__":
    main()
