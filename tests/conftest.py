"""Before jax is imported: compiled code is kept between test runs, here and in subprocesses."""

import importlib.util
import mmap
import os
import signal
import sys
from pathlib import Path

import pytest

os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).resolve().parent.parent / ".jax_cache")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
# Most of the suite's time is XLA compiling what then runs for milliseconds. The programs are the
# same, less optimised; JAX_DISABLE_MOST_OPTIMIZATIONS=0 runs the tests on what users run.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("MPLBACKEND", "agg")


def known_to_xla(flags: dict[str, str]) -> str:
    """Those of the flags that this jaxlib has; any other would end the process."""
    (folder,) = importlib.util.find_spec("jaxlib").submodule_search_locations
    known = set()
    for path in Path(folder).glob("libjax_common.*"):
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            known |= {name for name in flags if text.find(name.encode()) >= 0}
    return " ".join(f"--{name}={flags[name]}" for name in sorted(known))


# Older, plainer kernels, and one module a program: together they spare half of XLA's time here.
if os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1" and "XLA_FLAGS" not in os.environ:
    os.environ["XLA_FLAGS"] = known_to_xla(
        {"xla_cpu_use_fusion_emitters": "false", "xla_cpu_parallel_codegen_split_count": "1"}
    )
# Matrices are small here: a second thread of BLAS's only spins, and takes the other worker's core.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# A shell starts what it puts into the background with SIGINT ignored, and so would be the commands
# that tests start from here in order to interrupt them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["PSRO_TREE_CACHE"] = ""  # tests keep nothing in the user's folder


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_in_the_repository():
    """What a test writes belongs into its own folder."""
    root = Path(__file__).resolve().parent.parent
    before = {path.name for path in root.iterdir()}
    yield
    left = {path.name for path in root.iterdir()} - before
    assert not {name for name in left if not name.startswith(".")}


def pytest_sessionfinish():
    """Under `make coverage`, what was measured is saved now: pytest-xdist kills a worker that takes
    more than 10 seconds to exit, and on a busy machine saving it takes longer."""
    if "coverage" in sys.modules and (measured := sys.modules["coverage"].Coverage.current()):
        measured.save()
