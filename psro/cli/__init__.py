"""`psro run | sweep | train | resume | eval | arena | solve | egta | plot | report | watch | log |
play | export | games | variants | zoo | publish`. Bad input ends with one sentence and exit code
2.

The modules of commands define the options. They import the rest only when a command runs, because
help texts and errors do not need it, and the import of JAX alone takes a second.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings

import tyro

from psro.cli import (
    arena,
    empirical,
    evaluating,
    learning,
    listing,
    playing,
    plugins,
    process,
    sharing,
    showing,
    solving,
    sweeping,
    training,
)

__all__ = ["command", "main"]


def command() -> None:
    """The process `psro`. After an interrupt it ends at once; all files are written by then. An
    ordinary exit could crash: jaxlib continues an interrupted compilation, while Python removes
    its client (a segmentation fault)."""
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
    """The command `psro`. Raises SystemExit if it is refused or interrupted."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    process.open_streams()
    process.use_caches()
    process.use_all_cores()
    process.print_any_name()
    arguments = sys.argv[1:] if arguments is None else arguments
    terminated = signal.signal(signal.SIGTERM, process.terminate)
    try:
        with process.errors_as_sentences():
            arguments = plugins.import_modules(arguments)
            tyro.extras.subcommand_cli_from_dict(
                {
                    "run": training.run_with(arguments),
                    "sweep": sweeping.sweep,
                    "train": learning.train_with(arguments),
                    "resume": training.resume,
                    "eval": evaluating.evaluate,
                    "arena": arena.meet,
                    "solve": solving.solve_game,
                    "egta": empirical.analyse,
                    "plot": showing.plot,
                    "report": showing.write_page,
                    "watch": showing.watch_run,
                    "log": showing.log_runs,
                    "play": playing.play,
                    "export": showing.export_run,
                    "games": listing.list_games,
                    "variants": listing.list_variants,
                    "zoo": listing.list_zoo,
                    "publish": sharing.publish,
                },
                prog="psro",
                description="Train and measure game-theoretic populations of recurrent policies. "
                "Each command takes --import MODULE ..., for modules that register games or other "
                "plug-ins.",
                args=learning.without_usual(arguments),
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    finally:
        signal.signal(signal.SIGTERM, terminated)
