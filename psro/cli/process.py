"""What the process `psro` does around its commands: signals, caches, streams and errors, which end
in one sentence."""

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

INTERRUPTED = {number: 128 + number for number in (signal.SIGINT, signal.SIGTERM)}
"""Exit codes, as shells have them."""
_MOST_SAID = 1_000
"""Characters of an error's sentence."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which a scheduler sends before it kills: stops a run as Ctrl-C does."""


class UsageError(PsroError):
    """Arguments that do not go together; one sentence says why."""


def terminate(number, frame) -> None:
    raise Terminated


def exit_code(interrupt: KeyboardInterrupt) -> int:
    return INTERRUPTED[signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT]


@contextlib.contextmanager
def noting_interrupts() -> Iterator[list[KeyboardInterrupt]]:
    """The interrupts so far, SIGINT and SIGTERM: Python drops a KeyboardInterrupt that is raised in
    a callback of its garbage collector, and JAX has one."""
    interrupts: list[KeyboardInterrupt] = []

    def interrupted(number, frame):
        interrupts.append(Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
        raise interrupts[-1]

    before = {number: signal.signal(number, interrupted) for number in INTERRUPTED}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(text: str) -> None:
    """Prints lines, in which names are made printable; when nobody reads any more, or there is no
    room for what they would read, the rest goes nowhere and training goes on."""
    try:
        print(_printable_lines(text), flush=True)
    except OSError as error:
        close_stdout()
        if not isinstance(error, BrokenPipeError):
            complain(f"the output goes nowhere from here on: {error.strerror or error}")


def hint(what: str) -> None:
    """What to type next, for a person at a terminal: what a command writes to its output is for
    programs too, and stands there alone."""
    if sys.stderr.isatty():
        print(f"next: {one_line(what)}", file=sys.stderr)


def complain(sentence: str) -> None:
    note(f"psro: {sentence}")


def note(text: str) -> None:
    """Prints lines beside the output, in which names are made printable."""
    print(_printable_lines(text), file=sys.stderr)


def _printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def note_disagreement(run: Any) -> None:
    """Says where an experiment's recorded payoffs are not those of its policies."""
    sentence = run.disagreement()
    if sentence is not None:
        note(f"note: {run.folder}: {sentence}")


def open_streams() -> None:
    """Gives a process whose standard streams were closed (`>&-`) the null device instead: else the
    next file that is opened would be taken for the standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def print_any_name() -> None:
    """What the terminal's encoding lacks, in the name of a folder for instance, becomes escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def close_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def use_caches() -> None:
    """Compiled code and compiled trees are kept between runs, in the user's cache folder. (As a
    library nothing is kept, unless `PSRO_TREE_CACHE` or an argument says where.)"""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "psro"
    os.environ.setdefault(cache.FOLDER_VARIABLE, str(base / "trees"))
    if _jax_setting("jax_compilation_cache_dir") is None:
        _set_jax("jax_compilation_cache_dir", str(base / "jax"))
        _set_jax("jax_persistent_cache_min_compile_time_secs", 0.1)


def use_all_cores() -> None:
    """Jobs train side by side (`psro.oracles.devices`), unless somebody has chosen already."""
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not forced and _jax_setting("jax_num_cpu_devices") in (None, -1):
        with contextlib.suppress(RuntimeError):  # JAX has started: this is not a fresh process
            _set_jax("jax_num_cpu_devices", CPU_DEVICES)


# Many commands need no JAX. So they do not import it to set it up: where nobody has imported it, it
# will read its settings from the environment.


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
    """What somebody can read of a sentence that quotes what was typed: names with line breaks or
    control characters in them, or that are longer than a screen."""
    if len(text) > _MOST_SAID:
        text = f"{text[: _MOST_SAID // 2]} ... {text[-_MOST_SAID // 2 :]}"
    return printable(text)


@contextlib.contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Ends the process by SystemExit, with one sentence, where what is done inside ends in an error
    that a user can mend, or in an interrupt."""
    try:
        yield
    except (PsroError, GameError) as error:
        fail(str(error))
    except MemoryError:
        fail("this needs more memory than there is")
    except KeyboardInterrupt as error:  # before or after training, which says how to go on
        print("\nstopped", file=sys.stderr)
        raise SystemExit(exit_code(error)) from None
    except BrokenPipeError:  # whoever read our output has seen enough
        close_stdout()
    except OSError as error:  # of standard output, or of a path that nobody below has put in words
        try:
            sys.stdout.flush()
        except OSError:
            close_stdout()  # or Python would complain once more
        where = "" if error.filename is None else f"cannot use {os.fsdecode(error.filename)!r}: "
        fail(f"{where}{error.strerror or error}")
    except Exception as error:
        sentence = _about_jax(error)
        if sentence is None:
            raise
        fail(sentence)


def _about_jax(error: Exception) -> str | None:
    """What a user can do about an error of JAX's; None where it is another's, or ours to mend."""
    jax, platforms = sys.modules.get("jax"), os.environ.get("JAX_PLATFORMS")
    if jax is None:
        return None
    if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error):
        return f"this needs more memory than there is: {error}"
    if platforms:
        try:
            jax.devices()
        except Exception:  # of several kinds, by the platform
            return f"JAX finds no device of JAX_PLATFORMS={platforms} here; leave it unset, or cpu"
    return None
