"""How files get to disk: whole or not at all, under names that nobody else can have taken, and into
the folder that was meant."""

import errno
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from psro.runs import disk
from psro.runs.disk import ExperimentError


def bind(path, elsewhere):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


LINKS_AND_PIPES = {
    "link": lambda path, elsewhere: path.symlink_to(elsewhere),
    "dangling": lambda path, elsewhere: path.symlink_to(elsewhere.with_name("new")),
    "pipe": lambda path, elsewhere: os.mkfifo(path),
    "socket": bind,
}


@pytest.fixture(params=LINKS_AND_PIPES)
def put(request, tmp_path):
    """Puts something that is no plain file at a path, and checks that what is elsewhere stays."""
    elsewhere = tmp_path / "elsewhere" / "file"
    elsewhere.parent.mkdir()
    elsewhere.write_text("of somebody else")
    yield lambda path: LINKS_AND_PIPES[request.param](path, elsewhere)
    assert elsewhere.read_text() == "of somebody else"
    assert os.listdir(elsewhere.parent) == ["file"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def names(folder):
    return sorted(os.listdir(folder))


# Files


def test_a_file_is_replaced(folder):
    for content in ("old", "new", b"bytes", "a name \udcff"):
        disk.write(folder / "file", content)
    assert (folder / "file").read_bytes() == b"a name \\udcff"
    assert names(folder) == ["file"]


def test_a_writer_that_fails_leaves_the_old_file(folder):
    disk.write(folder / "file", "old")
    with pytest.raises(ZeroDivisionError), disk.replacing(folder / "file") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert (folder / "file").read_text() == "old" and names(folder) == ["file"]


def test_a_temporary_file_that_somebody_has_taken_away(folder):
    with pytest.raises(FileNotFoundError), disk.replacing(folder / "file"):
        os.unlink(folder / names(folder)[0])
    assert names(folder) == []


def test_many_writers_of_one_file(folder):
    """Each with a temporary file of its own: all succeed, and one of them is there in the end."""
    together = threading.Barrier(4)

    def write(content):
        with disk.replacing(folder / "file") as file:
            file.write(content)
            together.wait()

    threads = [threading.Thread(target=write, args=(b"%d" % n * 100,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = (folder / "file").read_bytes()
    assert len(content) == 100 and len(set(content)) == 1 and names(folder) == ["file"]


@pytest.mark.parametrize("linked", [True, False])
def test_of_many_makers_of_a_new_file_one_succeeds(folder, monkeypatch, linked):
    if not linked:  # as on FAT

        def refuse(*arguments, **options):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", refuse)
    with (
        pytest.raises(FileExistsError),
        disk.replacing(folder / "file", new=True) as late,
    ):
        late.write(b"late")
        with disk.replacing(folder / "file", new=True) as early:
            early.write(b"early")
    assert (folder / "file").read_text() == "early" and names(folder) == ["file"]


def test_what_is_there_is_not_made_new(folder):
    disk.write(folder / "file", "old")
    with pytest.raises(FileExistsError), disk.replacing(folder / "file", new=True):
        pass
    assert (folder / "file").read_text() == "old" and names(folder) == ["file"]


def test_a_folder_and_what_is_no_plain_file_are_not_replaced(folder):
    (folder / "inner").mkdir()
    with pytest.raises(IsADirectoryError):
        disk.write(folder / "inner", "")
    os.mkfifo(folder / "pipe")
    (folder / "to pipe").symlink_to("pipe")
    for name in ("pipe", "to pipe"):
        with pytest.raises(OSError, match="is a pipe"):
            disk.write(folder / name, "")
    assert names(folder) == ["inner", "pipe", "to pipe"]


def test_a_link_that_somebody_names_is_replaced_and_not_followed(folder, tmp_path):
    (tmp_path / "elsewhere").write_text("of somebody else")
    (folder / "file").symlink_to(tmp_path / "elsewhere")
    disk.write(folder / "file", "new")
    assert (tmp_path / "elsewhere").read_text() == "of somebody else"
    assert (folder / "file").read_text() == "new" and not (folder / "file").is_symlink()


def test_nothing_but_a_plain_file_is_opened(folder, put):
    path = folder / "file"
    put(path)
    with pytest.raises(OSError, match="it is a (link|pipe|socket)"):
        disk.open_plain(path)
    with pytest.raises(OSError, match="it is a folder"):
        disk.open_plain(folder)
    with pytest.raises(FileNotFoundError):
        disk.open_plain(folder / "none")
    disk.write(folder / "plain", "text")
    with disk.open_plain(folder / "plain") as file:
        assert file.read() == b"text"


def test_a_device_is_named_so():
    assert disk.kind_of(Path("/dev/null")) == "a device"
    with pytest.raises(OSError, match="null is a device"):
        disk.write(Path("/dev/null"), "")


# Folders that are held


def test_a_held_folder_is_written_to_and_no_link_in_it_followed(folder, put):
    (folder / "policies").mkdir()
    put(folder / "policies" / "0001")
    put(folder / "linked")
    with disk.hold(folder) as held:
        disk.write(folder / "policies" / "0000", "there", held)
        with pytest.raises(OSError, match="0001 is a "):
            disk.write(folder / "policies" / "0001", "", held)
        with pytest.raises(OSError):
            disk.write(folder / "linked" / "file", "", held)
    assert (folder / "policies" / "0000").read_text() == "there"


@pytest.mark.parametrize("replaced", [True, False])
def test_a_folder_that_was_moved_is_not_written_to_any_more(folder, tmp_path, replaced):
    with disk.hold(folder) as held:
        disk.write(folder / "file", "first", held)
        moved = folder.rename(tmp_path / "moved")
        if replaced:
            folder.mkdir()
            (folder / "file").write_text("another run's")
        with pytest.raises(ExperimentError, match="no longer the folder"):
            disk.write(folder / "file", "second", held)
    assert (moved / "file").read_text() == "first" and names(moved) == ["file"]
    assert not replaced or (folder / "file").read_text() == "another run's"


def test_a_link_to_a_folder_may_lead_elsewhere_meanwhile(folder, tmp_path):
    """`experiments/latest`: what was opened by it is written to."""
    latest = tmp_path / "latest"
    latest.symlink_to("run")
    with disk.lock(latest) as held:
        latest.unlink()
        latest.symlink_to("elsewhere")
        disk.write(latest / "file", "there", held)
    assert (folder / "file").read_text() == "there"


def test_a_lock_is_held_by_one(folder, tmp_path):
    with disk.lock(folder), pytest.raises(ExperimentError, match="another psro"):
        disk.lock(folder).__enter__()
    with disk.lock(folder):
        pass
    with pytest.raises(ExperimentError, match="cannot write to"):
        disk.lock(tmp_path / "none").__enter__()


def test_a_lock_that_is_no_plain_file_is_not_opened(folder, put):
    put(folder / disk.LOCK)
    with pytest.raises(ExperimentError, match=r"\.lock is a (link|pipe|socket)"):
        disk.lock(folder).__enter__()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EIO])
def test_a_file_system_that_cannot_lock(folder, monkeypatch, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(disk.fcntl, "flock", fail)
    if code == errno.ENOLCK:
        with disk.lock(folder) as held:
            disk.write(folder / "file", "there", held)
        assert names(folder) == [disk.LOCK, "file"]
    else:
        with pytest.raises(ExperimentError, match=os.strerror(code)):
            disk.lock(folder).__enter__()


def test_what_killed_processes_left_is_removed_when_it_is_safe(folder, put):
    gone, held, linked = (f".psro-{digit * 16}.tmp" for digit in "abc")
    (folder / "policies").mkdir()
    for path in (folder / gone, folder / "policies" / gone, folder / held, folder / ".psro-me.tmp"):
        path.write_text("half")
    put(folder / linked)
    with open(folder / held) as other:
        disk.fcntl.flock(other, disk.fcntl.LOCK_EX)
        with disk.lock(folder):
            pass
    assert names(folder / "policies") == []
    assert set(names(folder)) == {held, linked, ".psro-me.tmp", disk.LOCK, "policies"}


# Folders that are made


def test_a_folder_is_there_all_at_once(tmp_path):
    folder = tmp_path / "a" / "b" / "run"
    old, young = (tmp_path / f".psro-{digit * 16}.tmp" for digit in "ab")  # of others
    for left in (old, young):
        (left / "policies").mkdir(parents=True)
    os.utime(old, (time.time() - 3600,) * 2)
    with disk.making(folder) as aside:
        (aside / "file").write_text("there")
        assert not folder.exists()
    assert names(folder.parent) == ["run"] and names(folder) == ["file"]
    with disk.making(tmp_path / "second"):
        pass
    assert names(tmp_path) == [young.name, "a", "second"]  # whoever made it may hold it soon


def test_a_folder_that_fails_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError), disk.making(tmp_path / "a" / "b" / "run") as aside:
        (aside / "file").write_text("half")
        raise ZeroDivisionError
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_a_folder_that_another_process_makes_meanwhile_is_kept(tmp_path, kind):
    folder = tmp_path / "new" / "run"
    with (
        pytest.raises(ExperimentError, match="exists already: another process"),
        disk.making(folder) as aside,
    ):
        (aside / "file").write_text("late")
        if kind == "folder":
            folder.mkdir()
            (folder / "file").write_text("early")
        elif kind == "file":
            folder.write_text("early")
        else:
            folder.symlink_to(tmp_path)
    assert names(tmp_path / "new") == ["run"]
    assert kind == "link" or "early" in (
        folder.read_text() if kind == "file" else (folder / "file").read_text()
    )


def test_a_folder_that_cannot_be_renamed(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "rename", fail)
    with (
        pytest.raises(ExperimentError, match=os.strerror(errno.EIO)),
        disk.making(tmp_path / "run"),
    ):
        pass
    assert names(tmp_path) == []


def test_a_folder_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ExperimentError, match="cannot write to"),
        disk.making(tmp_path / "file" / "run"),
    ):
        pass
    assert names(tmp_path) == ["file"]
