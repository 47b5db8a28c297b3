"""The process `psro` around its commands: signals, caches, streams, and errors as one sentence."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from games import GameError
from games.printing import printable
from games.readers import cache
from psro.errors import PsroError
from psro.oracles.settings import CPU_DEVICES

INTERRUPTED = {
    signal.SIGINT: 128 + signal.SIGINT,
    signal.SIGTERM: 128 + signal.SIGTERM,
    signal.SIGALRM: 75,
}
"""Exit codes, as shells have them. A run that is out of time has that of a temporary failure
(EX_TEMPFAIL in sysexits.h): the same command, later, may end it."""
_MOST_SAID = 1_000
"""Characters of an error's sentence."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which a scheduler sends before it kills a process. It stops a run like Ctrl-C."""


class OutOfTime(KeyboardInterrupt):
    """The wall limit is over. It stops a run like Ctrl-C."""


_INTERRUPTS = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
    signal.SIGALRM: OutOfTime,
}


class UsageError(PsroError):
    """Arguments that cannot be combined. One sentence says why."""


def terminate(number, frame) -> None:
    raise Terminated


def exit_code(interrupt: KeyboardInterrupt) -> int:
    return next(INTERRUPTED[n] for n, kind in _INTERRUPTS.items() if type(interrupt) is kind)


@contextlib.contextmanager
def noting_interrupts() -> Iterator[list[KeyboardInterrupt]]:
    """The interrupts so far: SIGINT, SIGTERM and the end of a wall limit. They are recorded because
    Python drops a KeyboardInterrupt in a callback of its garbage collector, and JAX has such a
    callback. What Python would print of a dropped one is not printed."""
    interrupts: list[KeyboardInterrupt] = []

    def interrupted(number, frame):
        interrupts.append(_INTERRUPTS[number]())
        raise interrupts[-1]

    def dropped(unraisable):
        if unraisable.exc_value not in interrupts:
            usual_hook(unraisable)

    before = {number: signal.signal(number, interrupted) for number in INTERRUPTED}
    usual_hook, sys.unraisablehook = sys.unraisablehook, dropped
    try:
        yield interrupts
    finally:
        sys.unraisablehook = usual_hook
        for number, handler in before.items():
            signal.signal(number, handler)


def say(text: str) -> None:
    """Prints lines, with names made printable. If the output is closed or its disk is full, the
    rest is dropped and training continues."""
    try:
        print(_printable_lines(text), flush=True)
    except OSError as error:
        close_stdout()
        if not isinstance(error, BrokenPipeError):
            complain(f"no more output is written: {error.strerror or error}")


def hint(what: str) -> None:
    """Says on standard error which command to type next, if a person reads it at a terminal.
    Programs may read the standard output, so it has the command's result alone."""
    if sys.stderr.isatty():
        print(f"next: {one_line(what)}", file=sys.stderr)


def complain(sentence: str) -> None:
    note(f"psro: {sentence}")


def note(text: str) -> None:
    """Prints lines on standard error, with names made printable."""
    print(_printable_lines(text), file=sys.stderr)


def _printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def note_disagreement(run: Any) -> None:
    """Says so if an experiment's recorded payoffs are not those of its policies."""
    sentence = run.disagreement()
    if sentence is not None:
        note(f"note: {run.folder}: {sentence}")


def open_streams() -> None:
    """Opens the null device in place of standard streams that were closed (`>&-`). Otherwise the
    next opened file would become the standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def print_any_name() -> None:
    """Characters that the terminal's encoding lacks are printed as escapes, for example in the name
    of a folder."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def close_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def use_caches() -> None:
    """Keeps compiled code and enumerated trees between runs, in the user's cache folder. (The
    library keeps nothing, unless `PSRO_TREE_CACHE` or an argument names a folder.)"""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "psro"
    os.environ.setdefault(cache.FOLDER_VARIABLE, str(base / "trees"))
    if _jax_setting("jax_compilation_cache_dir") is None:
        _set_jax("jax_compilation_cache_dir", str(base / "jax"))
        _set_jax("jax_persistent_cache_min_compile_time_secs", 0.1)


def use_all_cores() -> None:
    """Lets jobs train side by side (`psro.oracles.devices`), unless the user has set it
    otherwise."""
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not forced and _jax_setting("jax_num_cpu_devices") in (None, -1):
        with contextlib.suppress(RuntimeError):  # JAX has started: this is not a fresh process
            _set_jax("jax_num_cpu_devices", CPU_DEVICES)


# Many commands need no JAX, so they do not import it to set its options. Before JAX is imported,
# its options are set in the environment.


def _jax_setting(name: str) -> Any:
    """A setting of JAX, or its string in the environment before JAX is imported."""
    if jax := sys.modules.get("jax"):
        return getattr(jax.config, name)
    return os.environ.get(name.upper())


def _set_jax(name: str, value: str | int | float) -> None:
    if jax := sys.modules.get("jax"):
        jax.config.update(name, value)
    else:
        os.environ[name.upper()] = str(value)


def fail(sentence: str) -> None:
    print(f"psro: {one_line(sentence)}", file=sys.stderr)
    raise SystemExit(2)


def one_line(text: str) -> str:
    """A readable line from a sentence that quotes the user's input. Line breaks and control
    characters become printable, and the middle of a very long sentence is cut."""
    if len(text) > _MOST_SAID:
        text = f"{text[: _MOST_SAID // 2]} ... {text[-_MOST_SAID // 2 :]}"
    return printable(text)


@contextlib.contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Turns an error that a user can mend, or an interrupt, into one sentence and SystemExit."""
    try:
        yield
    except (PsroError, GameError) as error:
        fail(str(error))
    except MemoryError:
        fail("this needs more memory than there is")
    except KeyboardInterrupt as error:  # before or after training, which says how to continue
        print("\nstopped", file=sys.stderr)
        raise SystemExit(exit_code(error)) from None
    except BrokenPipeError:  # the reader of our output has closed it
        close_stdout()
    except OSError as error:  # of standard output, or of a path without a sentence of its own
        try:
            sys.stdout.flush()
        except OSError:
            close_stdout()  # otherwise Python would print another error
        where = "" if error.filename is None else f"cannot use {os.fsdecode(error.filename)!r}: "
        fail(f"{where}{error.strerror or error}")
    except Exception as error:
        sentence = _about_jax(error)
        if sentence is None:
            raise
        fail(sentence)


def _about_jax(error: Exception) -> str | None:
    """What a user can do about an error of JAX; None for other errors."""
    jax, platforms = sys.modules.get("jax"), os.environ.get("JAX_PLATFORMS")
    if jax is None:
        return None
    if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error):
        return f"this needs more memory than there is: {error}"
    if platforms:
        try:
            jax.devices()
        except Exception:  # of several kinds, by the platform
            return (
                f"JAX finds no device for JAX_PLATFORMS={platforms} here; unset it, or set it to "
                "cpu"
            )
    return None
