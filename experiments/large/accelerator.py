"""Exact quantities on an accelerator: what they take, and that they equal the processor's.

    python experiments/large/accelerator.py             # one GPU: under eight minutes
    python experiments/large/accelerator.py --reduced   # small games, on any machine

Uniform play, in float64. Games by public states (`psro.exact.public_on_device`): the plan, gains
and best responses stay on the device. Walked games (`psro.exact.walked_on_device`): a pass that
gives both players' gains, from plans and to gains in the processor's memory. A line for each: info
states and histories, seconds of opening it (lists of ends included), of a first pass, which
compiles, and of a second; gigabytes of the device; and the largest difference from numpy's best
responses or gains, where the processor measures them too. A game is left out when its lists would
not fit, or when the minutes are over.
"""

from __future__ import annotations

import argparse
import time

import jax
import numpy as np

from games.info_states import memory
from games.public import public_tree
from games.walked import walked_tree
from psro import exact
from psro.exact.public_on_device import DevicePublicTree
from psro.exact.walked_on_device import DeviceWalkedTree
from psro.measure.simple_play import uniform

DICE = "liars_dice(numdice={},dice_sides={})"
PUBLIC = tuple(DICE.format(*size) for size in ((1, 6), (2, 4), (2, 5), (2, 6)))
WALKED = (
    "dark_hex(num_rows=2,num_cols=4)", "phantom_ttt", "dark_hex(board_size=3)",
    "phantom_ttt(gameversion=abrupt)", "dark_hex(board_size=3,gameversion=adh)",
)  # fmt: skip
REDUCED_PUBLIC = tuple(DICE.format(*size) for size in ((1, 2), (2, 2)))
REDUCED_WALKED = ("dark_hex(num_rows=2,num_cols=2,gameversion=adh)",)
COMPARED = 2e7
"""Info states of the largest public tree that the processor measures too."""
HOST_BYTES = {"phantom_ttt(gameversion=abrupt)": 40e9, WALKED[-1]: 40e9}
"""Of the processor's memory, for the lists of the abrupt games."""
COLUMNS = ("game", "info states", "histories", "open s", "first s", "second s", "GB", "difference")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reduced", action="store_true", help="small games, on any machine")
    parser.add_argument("--device", help="cpu, gpu or tpu; by default JAX's first")
    parser.add_argument("--minutes", type=float, default=7.0, help="no game is begun afterwards")
    arguments = parser.parse_args()
    public, walked = (REDUCED_PUBLIC, REDUCED_WALKED) if arguments.reduced else (PUBLIC, WALKED)
    end = time.perf_counter() + 60 * arguments.minutes
    print(f"# {jax.devices(arguments.device)[0].device_kind}, jax {jax.__version__}")
    print("\t".join(COLUMNS))
    for name, measured in [
        *((name, of_public) for name in public), *((name, of_walked) for name in walked),
    ]:  # fmt: skip
        if HOST_BYTES.get(name, 0) > memory():
            print(f"# {name}: its lists take more memory than the processor has")
        elif time.perf_counter() > end:
            print(f"# {name}: not begun, the minutes are over")
        else:
            print("\t".join(measured(name, arguments.device)), flush=True)


def of_public(name: str, platform: str | None) -> list[str]:
    begin = time.perf_counter()
    form = public_tree(name)
    device = DevicePublicTree(form, platform)
    opened = time.perf_counter() - begin
    passes, measured = timed(device.uniform_exploitability)
    difference = "not compared"
    if form.num_info_states <= COMPARED:
        expected = exact.exploitability(form, uniform(form)).best_response_value
        difference = f"{np.abs(measured.best_response_value - expected).max():.1e}"
    return row(form, device, opened, passes, difference)


def of_walked(name: str, platform: str | None) -> list[str]:
    begin = time.perf_counter()
    form = walked_tree(name)
    device = DeviceWalkedTree(form, platform)
    opened = time.perf_counter() - begin
    plans = uniform(form)
    passes, (_, gains) = timed(lambda: device.returns_and_gains(plans))
    expected = form.returns_and_gains(plans)[1]
    worst = max(np.abs(own - other).max() for own, other in zip(gains, expected, strict=True))
    return row(form, device, opened, passes, f"{worst:.1e}")


def timed(measure):
    """Seconds of two passes, and what the second one gave."""
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        result = measure()
        times.append(time.perf_counter() - begin)
    return times, result


def row(form, device, opened: float, passes: list[float], difference: str) -> list[str]:
    used = (device.device.memory_stats() or {}).get("peak_bytes_in_use", 0) / 1e9
    return [
        form.name, str(form.num_info_states), str(form.num_histories),
        *(f"{seconds:.2f}" for seconds in (opened, *passes)), f"{used:.2f}", difference,
    ]  # fmt: skip


if __name__ == "__main__":
    main()
