"""Where the passes over a form are computed: by JAX on an accelerator if there is one, else by
numpy or compiled code on this machine's processors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from games.form import Form
from games.public.tree import PublicTree
from psro.exact.on_devices import devices_of
from psro.exact.public_on_device import DevicePublicTree

Pass = Callable[[Sequence[np.ndarray]], tuple[np.ndarray, list[np.ndarray]]]
"""`Form.returns_and_gains`."""


def passes_of(form: Form, platform: str | None = None) -> Pass:
    """What computes `form.returns_and_gains`: an accelerator, if JAX's first device is one.

    Args:
        form: the game.
        platform: cpu, gpu or tpu, for a device of this kind by JAX.

    Raises:
        DeviceError: the machine has no such device.
    """
    if platform is None and devices_of()[0].platform == "cpu":
        return form.returns_and_gains
    if isinstance(form, PublicTree):
        return DevicePublicTree(form, platform).returns_and_gains
    from games.walked.tree import WalkedTree  # imports numba

    if isinstance(form, WalkedTree):
        from psro.exact.walked_on_device import DeviceWalkedTree

        return DeviceWalkedTree(form, platform).returns_and_gains
    return form.returns_and_gains
