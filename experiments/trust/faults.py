"""Runs on real disks that are too small, or read-only, and what becomes of their folders.

    python experiments/trust/faults.py     # on Linux, as root: it mounts memory disks (tmpfs)

Every case runs a `psro` command on a disk of its own, for a range of sizes, so that the disk is
full at another file each time. The command must succeed, or end with exit code 2 and one sentence;
what it leaves must load; and when the disk has been made larger, `psro resume`, or the same command
where there is nothing to resume, must come to the bits of a run on a large disk. Where nothing may
be mounted the script says so and ends with exit code 3.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from kill import bits

import psro
from psro import cli
from psro.runs import experiment
from psro.runs import folder as run_folder

NOT_PERMITTED = 3
FULL, READ_ONLY = "No space left on device", "Read-only file system"
EXACT = ("--oracle", "best_response", "--tolerance", "0")
TINY = "--ppo.decisions 512 --ppo.num-envs 16 --ppo.rollout-length 8 --hidden-size 4 --tolerance 0"
RUNS = {
    "kuhn_poker, exact": ("--game", "kuhn_poker", *EXACT, "--iterations", "6"),
    "leduc_poker, exact": ("--game", "leduc_poker", *EXACT, "--iterations", "4"),
    "kuhn_poker, ppo": ("--game", "kuhn_poker", *TINY.split(), "--iterations", "3"),
}


class Disk:
    """A memory disk of `kilobytes`, mounted on `place` for the time being."""

    def __init__(self, place: Path, kilobytes: int):
        self.place, self._size = place, kilobytes

    def __enter__(self) -> Disk:
        self.place.mkdir(exist_ok=True)
        _mount("-t", "tmpfs", "-o", f"size={self._size}k", "tmpfs", str(self.place))
        return self

    def grow(self) -> None:
        self.remount("size=64m")

    def remount(self, options: str) -> None:
        _mount("-o", f"remount,{options}", str(self.place))

    def __exit__(self, *_) -> None:
        subprocess.run(["umount", str(self.place)], check=True)


def _mount(*arguments: str) -> None:
    try:
        subprocess.run(["mount", *arguments], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = (getattr(error, "stderr", None) or str(error)).strip()
        print(f"a disk cannot be mounted here: {why}", file=sys.stderr)
        raise SystemExit(NOT_PERMITTED) from None


def command(*arguments: str | Path) -> tuple[int, str]:
    """The exit code of a `psro` command, run here, and what it wrote to standard error."""
    err = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
            cli.main([str(each) for each in arguments])
    except SystemExit as end:
        return end.code, err.getvalue()
    return 0, err.getvalue()


def refused(result: tuple[int, str], why: str = FULL) -> bool:
    """Whether the disk ended a command, which must have said so in one sentence."""
    code, err = result
    if code:
        assert code == 2 and err.startswith("psro: ") and err.count("\n") == 1, (code, err)
        assert why in err, err
    return bool(code)


def missing(folder: Path) -> str:
    """The first file that there was no room for, by what is there; the folder must load."""
    if not folder.exists():
        return "the new folder"
    run = run_folder.snapshot(folder)
    if run.records:
        psro.load(folder)
    if len(list((folder / "policies").iterdir())) > len(run.records):
        return "the commit"
    if not run.ended:
        return "an iteration's policies"
    return "the figure" if not (folder / "exploitability.png").exists() else "the summary"


def no_part_is_left(disk: Disk) -> None:
    assert not list(disk.place.rglob("*.tmp")), "a temporary file is left"
    for path in disk.place.rglob("*.png"):
        assert path.read_bytes().endswith(b"IEND\xaeB`\x82"), f"half of {path.name} is left"
    for path in disk.place.rglob("*.csv"):
        assert path.read_bytes().endswith(b"\n"), f"half of {path.name} is left"


def try_run(disk: Disk, options: tuple[str, ...], whole: list[tuple]) -> str:
    """A run, or as many as there are wholes, side by side."""
    folder = disk.place / "run"
    several = ("--seeds", str(len(whole))) if len(whole) > 1 else ()
    begin = ("run", *options, *several, "--out", folder)
    folders = [folder / f"seed-{n}" for n in range(len(whole))] if several else [folder]
    full = refused(command(*begin))
    no_part_is_left(disk)
    begun = folder.exists()
    lost = " and ".join(sorted({missing(each) for each in folders})) if full else "nothing"
    disk.grow()
    code, err = command("resume", folder) if begun else command(*begin)
    assert code == 0, err
    assert [bits(each) for each in folders] == whole, "it ends with other bits"
    return lost


def try_output(disk: Disk, arguments: tuple, output: Path, check: Callable[[Path], None]) -> str:
    """A command that writes one file, of a run that lies elsewhere."""
    full = refused(command(*arguments))
    assert output.exists() != full, "half of the file is left"
    no_part_is_left(disk)
    disk.grow()
    if full:
        assert command(*arguments)[0] == 0
    check(output)
    return "the file" if full else "nothing"


def try_temporary(disk: Disk, arguments: tuple) -> str:
    """A command that needs room for temporary files, and has none there."""
    tempfile.tempdir = str(disk.place)
    try:
        full = refused(command(*arguments))
        assert not list(disk.place.iterdir()), "temporary files are left"
        disk.grow()
        if full:
            assert command(*arguments)[0] == 0
    finally:
        tempfile.tempdir = None
    return "temporary files" if full else "nothing"


def try_read_only(disk: Disk, options: tuple[str, ...], whole: tuple, out: Path) -> str:
    """A folder on a disk that is read-only: it is read, and neither trained in nor changed."""
    folder = disk.place / "run"
    for record in experiment.create(cli_config(options), folder).train():
        if record.iteration == 1:
            break
    before = bits(folder)
    disk.remount("ro")
    for arguments in (
        ("resume", folder),
        ("resume", folder, "--iterations", "9"),
        ("export", folder, disk.place / "run.psro"),
        ("report", folder, "--out", disk.place / "run.html"),
        ("plot", folder, "--out", disk.place / "run.png"),
        ("run", *options, "--out", disk.place / "another"),
    ):
        assert refused(command(*arguments), READ_ONLY), arguments
    for arguments in (
        ("eval", folder, "--json"),
        ("export", folder, out / "run.psro"),
        ("report", folder, "--out", out / "run.html"),
        ("plot", folder, "--out", out / "run.png"),
    ):
        assert command(*arguments) == (0, ""), arguments
    assert bits(folder) == before
    disk.remount("rw")
    assert command("resume", folder)[0] == 0
    assert bits(folder) == whole
    return "a folder that cannot be written"


def cli_config(options: tuple[str, ...]) -> psro.RunConfig:
    """Of the exact runs."""
    named = dict(zip(options[::2], options[1::2], strict=True))
    return psro.RunConfig(
        game=named["--game"],
        oracle=named["--oracle"],
        tolerance=0.0,
        iterations=int(named["--iterations"]),
    )


def size_of(folder: Path) -> int:
    """Kilobytes of a folder on a memory disk, whose blocks are of four."""
    return sum(-(-path.stat().st_size // 4096) * 4 for path in folder.rglob("*") if path.is_file())


class Faults:
    """All cases, each on `sizes` disks from one block to more than what is written."""

    def __init__(self, root: Path, sizes: int):
        self._root, self._sizes = root, sizes
        self.counts: collections.Counter[tuple[str, str]] = collections.Counter()

    def _on_disks(self, name: str, largest: int, attempt: Callable[[Disk], str]) -> None:
        """`largest`: kilobytes that the case writes, about."""
        for step in range(1, self._sizes + 1):
            blocks = 1 + (largest // 4 + 12) * step // self._sizes
            with Disk(self._root / "disk", 4 * blocks) as disk:
                lost = attempt(disk)
            self.counts[name, lost] += 1
            print(f"{name}, {4 * blocks} KB: no room for {lost}", flush=True)

    def _whole(self, name: str) -> Path:
        """The folder of a run that nothing disturbed."""
        folder = self._root / name
        if not folder.exists():
            assert command("run", *RUNS[name], "--out", folder) == (0, "")
        return folder

    def runs(self, name: str) -> None:
        whole = self._whole(name)
        expected = [bits(whole)]
        self._on_disks(name, size_of(whole), lambda disk: try_run(disk, RUNS[name], expected))

    def read_only(self, name: str) -> None:
        whole, out = self._whole(name), self._root / f"out {name}"
        out.mkdir()
        with Disk(self._root / "disk", 8192) as disk:
            lost = try_read_only(disk, RUNS[name], bits(whole), out)
        self.counts[f"{name}, read-only", lost] += 1

    def seeds(self, name: str) -> None:
        whole = self._root / "seeds"
        assert command("run", *RUNS[name], "--seeds", "2", "--out", whole)[0] == 0
        expected = [bits(whole / f"seed-{n}") for n in range(2)]
        self._on_disks("two seeds", size_of(whole), lambda d: try_run(d, RUNS[name], expected))

    def output(self, name: str, *arguments: str | Path) -> None:
        """`arguments` is a command that writes one file, whose path is to follow."""
        whole, output = self._root / f"whole {name}", self._root / "disk" / "output"
        assert command(*arguments, whole)[0] == 0
        content = whole.read_bytes()

        def same(path: Path) -> None:
            assert path.read_bytes() == content

        self._on_disks(
            name,
            len(content) // 1024,
            lambda disk: try_output(disk, (*arguments, output), output, same),
        )

    def temporary(self, name: str, size: int, *arguments: str | Path) -> None:
        """`arguments` is a command that needs `size` kilobytes for the time being."""
        self._on_disks(name, size, lambda disk: try_temporary(disk, arguments))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, default=10, help="disks a case")
    parser.add_argument("--quick", action="store_true", help="Kuhn by exact best responses only")
    options = parser.parse_args()
    kuhn, leduc, _ = RUNS
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        faults = Faults(root, options.sizes)
        faults.runs(kuhn)
        faults.read_only(kuhn)
        if not options.quick:
            for name in list(RUNS)[1:]:
                faults.runs(name)
            faults.read_only(leduc)
            faults.seeds(kuhn)
            faults.output("export", "export", root / kuhn)
            faults.output("report", "report", root / kuhn, "--out")
            exported = root / "whole export"
            size = exported.stat().st_size // 1024
            faults.temporary("temporary files of eval", size, "eval", exported)
            faults.temporary(  # which unpacks it once for its files and once for its policies
                "temporary files of report", 2 * size, "report", exported, "--out", root / "page"
            )
    for (name, lost), count in sorted(faults.counts.items()):
        print(f"{count:4} {name}: {lost}")
    failed = sum(count for (_, lost), count in faults.counts.items() if lost != "nothing")
    print(
        f"{failed} faults on {sum(faults.counts.values())} disks; 0 folders were lost or damaged, "
        "and every run that went on came to the same bits"
    )


if __name__ == "__main__":
    main()
