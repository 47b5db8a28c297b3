"""`psro run | resume | eval | plot | report | watch | play | export | games | variants`. Bad input
ends with one sentence and exit code 2.

The modules of commands hold their signatures, and import what a command needs when it runs: help
and the answer to a typo need none of it, and JAX alone takes a second.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings

import tyro

from psro.cli import evaluating, listing, playing, process, showing, training

__all__ = ["command", "main"]


def command() -> None:
    """The process `psro`. After an interrupt it ends at once, as all is written by then: jaxlib
    goes on to compile what was interrupted, and would meet a Python that has taken its client away
    (a segmentation fault)."""
    try:
        main()
    except SystemExit as leaving:
        if leaving.code in process.INTERRUPTED.values():
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError, AttributeError):  # closed
                    stream.flush()
            os._exit(leaving.code)
        raise


def main(arguments: list[str] | None = None) -> None:
    """The command `psro`; ends in SystemExit where it is refused or interrupted."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    process.open_streams()
    process.use_caches()
    process.use_all_cores()
    process.print_any_name()
    arguments = sys.argv[1:] if arguments is None else arguments
    terminated = signal.signal(signal.SIGTERM, process.terminate)
    try:
        with process.errors_as_sentences():
            tyro.extras.subcommand_cli_from_dict(
                {
                    "run": training.run_with(arguments),
                    "resume": training.resume,
                    "eval": evaluating.evaluate,
                    "plot": showing.plot,
                    "report": showing.write_page,
                    "watch": showing.watch_run,
                    "play": playing.play,
                    "export": showing.export_run,
                    "games": listing.list_games,
                    "variants": listing.list_variants,
                },
                prog="psro",
                description="Train and measure game-theoretic populations of recurrent policies.",
                args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    finally:
        signal.signal(signal.SIGTERM, terminated)
