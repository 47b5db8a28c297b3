"""Experiment folders (`psro.runs.folder`) as single files, to share with others: zip archives.

The members of an archive are stored in the order of their names and with the same date. So the same
run gives the same bytes. They are not compressed, so the contents cannot be larger than the file.

A file may come from a stranger. Only members with the names of an experiment's files are accepted,
and each only once. The archive's last bytes are checked before its table is read, and the table's
sizes before anything else is read. Members are written only to regular files of a new folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from games.readers import files
from psro.runs import disk, storage
from psro.runs.storage import ExperimentError
from psro.runs.zoo import PREFIX, located

MEMBERS = re.compile(
    r"config\.json|metrics\.csv|(payoffs|state)\.safetensors|game\.(csv|npy|npz|nfg|efg)"
    r"|policies/[0-9]{4,7}\.safetensors",
    re.ASCII,
)
MAX_MEMBERS = 60_000
"""More members need the archive's 64-bit form, which is not read."""
MAX_BYTES = (1 << 32) - (1 << 24)
"""More bytes need the 64-bit form as well."""

_MOST = {".json": storage.MAX_HEADER, ".safetensors": MAX_BYTES}
"""Most bytes of a member, by its ending. A game or the metrics have the limit of a game's file."""

_DATE = (1980, 1, 1, 0, 0, 0)  # the first that an archive can hold
_END = struct.Struct("<4s4H2LH")  # the record at an archive's end, when no comment follows it
_LONGEST_ENTRY = 46 + 64  # bytes of the table for one member: fixed, and its name


def is_file(path: str | os.PathLike) -> bool:
    """Whether `path` is an exported file, or one of the zoo, and not a folder."""
    try:
        return located(path).is_file()
    except OSError:  # a name too long
        return False


def pack(folder: Path, file: Path) -> None:
    """Writes a folder's files to `file`, which must not exist, in one step.

    Raises:
        ExperimentError: the files are too many or too large.
        OSError: the file cannot be written; FileExistsError if it exists.
    """
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    names = [name for name in names if MEMBERS.fullmatch(name)]
    total = sum((folder / name).stat().st_size for name in names)
    if len(names) > MAX_MEMBERS or total > MAX_BYTES:
        raise ExperimentError(
            f"the experiment has {len(names):,} files of {total:,} bytes; an exported file holds "
            f"at most {MAX_MEMBERS:,} files of {MAX_BYTES:,} bytes"
        )
    with (
        disk.replacing(file, new=True) as written,
        zipfile.ZipFile(written, "w", zipfile.ZIP_STORED, allowZip64=False) as archive,
    ):
        for name in names:
            member = zipfile.ZipInfo(name, _DATE)
            member.create_system = 3  # Unix, on every system
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(member, (folder / name).read_bytes())


def unpack(file: Path, folder: Path) -> None:
    """Makes `folder`, which must not exist, from an exported file: all of it or nothing.

    Raises:
        ExperimentError: the file cannot be read, or holds other files than an experiment's.
    """
    with _members(file) as (archive, members), disk.making(folder) as aside:
        _extract(archive, members, aside)


@contextlib.contextmanager
def _members(file: Path) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """The open archive of an exported file and its members, which are checked. Its errors become
    sentences."""
    try:
        with open(located(file), "rb") as opened:
            _check_end(opened)
            with zipfile.ZipFile(opened) as archive:
                members = archive.infolist()
                _check_members(members, os.fstat(opened.fileno()).st_size)
                yield archive, members
    except OSError as error:
        raise ExperimentError(f"cannot read {file}: {error.strerror or error}") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ExperimentError(f"{file} is damaged: {storage.sentence(error)}") from None
    except _Refused as error:
        raise ExperimentError(f"{file} is no exported experiment: {error}") from None


def unpack_beside(file: Path, out: str | os.PathLike | None) -> Path:
    """Unpacks an exported file to the new folder `out`; by default it is next to the file and has
    its name without the ending. Returns the folder. Raises the errors of `unpack`."""
    folder = Path(out) if out is not None else beside(file)
    disk.check_free(folder, "name a new folder to unpack to with --out")
    unpack(file, folder)
    return folder


def beside(file: Path) -> Path:
    """Where an exported file is unpacked by default. One of the zoo is unpacked here."""
    return Path(file.name.removeprefix(PREFIX)) if located(file) != file else file.with_suffix("")


def read_config(file: Path) -> bytes:
    """The config.json in an exported file. Raises the errors of `unpack`."""
    with _members(file) as (archive, _):
        return archive.read("config.json")


@contextlib.contextmanager
def as_folder(
    path: str | os.PathLike, errors: tuple[type[ValueError], ...] = (ExperimentError,)
) -> Iterator[Path]:
    """The folder `path`. If `path` is an exported file, a temporary folder with its contents; error
    messages then name `path` and not that folder."""
    if not is_file(path):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="psro-") as temporary:
        folder = Path(temporary) / "run"
        unpack(Path(path), folder)
        try:
            yield folder
        except errors as error:
            raise type(error)(str(error).replace(str(folder), os.fspath(path))) from None


class _Refused(Exception):
    """A file holds something that no export has. The text is the rest of a sentence."""


def _check_end(opened) -> None:
    """Checks the last bytes of an archive, before its table is read."""
    size = opened.seek(0, os.SEEK_END)
    opened.seek(max(0, size - _END.size - 20))
    last = opened.read()
    if len(last) < _END.size or not last[-_END.size :].startswith(b"PK\x05\x06"):
        raise _Refused("it does not end as an archive does")
    _, disk, _, here, members, table, start, comment = _END.unpack(last[-_END.size :])
    if last.startswith(b"PK\x06\x07") and len(last) > _END.size:
        raise _Refused("it is an archive in 64-bit form")
    if disk or comment or here != members or start + table + _END.size != size:
        raise _Refused("its table does not fit")
    if members > MAX_MEMBERS or table > MAX_MEMBERS * _LONGEST_ENTRY:
        raise _Refused(f"it claims {members:,} members in a table of {table:,} bytes")
    opened.seek(0)


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    seen: set[str] = set()
    for member in members:
        name = member.filename
        if not MEMBERS.fullmatch(name) or member.orig_filename != name:
            raise _Refused(f"it holds {name[:80]!r}, which this psro does not know")
        if name in seen:
            raise _Refused(f"it holds {name} twice")
        seen.add(name)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or member.flag_bits & 1:
            raise _Refused(f"{name} is no plain file")
        if member.file_size > _MOST.get(Path(name).suffix, files.MAX_BYTES):
            raise _Refused(f"its {name} has {member.file_size:,} bytes")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise _Refused(f"{name} is compressed")
    total = sum(member.file_size for member in members)
    if total > size:
        raise _Refused(f"its members claim {total:,} bytes, and it has {size:,}")
    if "config.json" not in seen:
        raise _Refused("it has no config.json")


def _extract(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path) -> None:
    policies = folder / "policies"
    if any(member.filename.startswith("policies/") for member in members):
        policies.mkdir()
    for member in members:
        target = folder / member.filename
        with archive.open(member) as source, open(target, "xb") as written:
            shutil.copyfileobj(source, written)
            written.flush()
            os.fsync(written.fileno())
    if policies.exists():
        disk.sync(policies)
