"""Before jax is imported: compiled code is kept between test runs, here and in subprocesses."""

import os
from pathlib import Path

os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).resolve().parent.parent / ".jax_cache")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
# Most of the suite's time is XLA compiling what then runs for milliseconds. The programs are the
# same, less optimised; JAX_DISABLE_MOST_OPTIMIZATIONS=0 runs the tests on what users run.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ["PSRO_TREE_CACHE"] = ""  # tests keep nothing in the user's folder
