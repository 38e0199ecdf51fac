import errno
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.system import outputs
from shared.system.outputs import NotWrittenError, check_output, is_stdout, keep_elsewhere, write_output

OLD, NEW = b"old", b"new figures"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "out.json"
    file.write_bytes(OLD)
    return file


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where figures are kept that can't be written."""
    folder = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def fails(number: int, *, only_in: Path | None = None) -> Callable[..., None]:
    """Return what fails to write a file; or only in a folder."""
    make = outputs._make

    def fail(path: Path, data: bytes) -> None:
        if only_in is None or path.parent == only_in:
            raise OSError(number, os.strerror(number))
        make(path, data)

    return fail


def test_a_file_is_replaced_and_keeps_its_mode(file: Path) -> None:
    file.chmod(0o640)
    before = file.stat()
    check_output("--out", file)
    assert file.read_bytes() == OLD, "a look changes nothing"
    write_output(file, NEW)
    assert file.read_bytes() == NEW
    assert file.stat().st_ino != before.st_ino, "a reader of the one before has it whole"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(file.parent.iterdir()) == [file]


def test_a_link_is_written_through(file: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "folder" / "link"
    link.symlink_to("../out.json")
    check_output("--out", link)
    write_output(link, NEW)
    assert link.is_symlink()
    assert file.read_bytes() == NEW


def test_a_link_to_nothing_yet_makes_the_file_that_it_leads_to(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("later.json")
    check_output("--out", link)
    write_output(link, NEW)
    assert link.is_symlink()
    assert (tmp_path / "later.json").read_bytes() == NEW


def test_a_pipe_stays_one_and_hands_on_what_is_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_output("--out", pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_output(pipe, NEW)
        assert os.read(reader, 1000) == NEW
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_pipe_that_nobody_reads_is_not_waited_for_and_no_figure_is_lost(tmp_path: Path, elsewhere: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(NotWrittenError, match="the figures are in") as error:
        write_output(pipe, NEW)
    (kept,) = elsewhere.iterdir()
    assert str(kept) in str(error.value)
    assert kept.read_bytes() == NEW


def test_a_device_stays_one_and_a_full_one_loses_no_figure(elsewhere: Path) -> None:
    for device in (Path("/dev/null"), Path("/dev/full")):
        check_output("--out", device)
    write_output(Path("/dev/null"), NEW)
    with pytest.raises(NotWrittenError, match=r"^/dev/full can't be written \(No space left on device\); the figures"):
        write_output(Path("/dev/full"), NEW)
    assert all(stat.S_ISCHR(Path(device).stat().st_mode) for device in ("/dev/null", "/dev/full"))
    assert [kept.read_bytes() for kept in elsewhere.iterdir()] == [NEW]


def test_what_a_descriptor_leads_to_is_written_in_place(file: Path) -> None:
    with file.open("rb") as opened:
        path = Path(f"/dev/fd/{opened.fileno()}")
        check_output("--out", path)
        write_output(path, NEW)
        assert opened.read() == NEW, "the same file, not another in its place"


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EPERM])
def test_a_file_that_cannot_be_replaced_is_written_in_place(
    file: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As a file that is mounted by itself, in a container."""
    file.write_bytes(NEW * 10)
    before = file.stat().st_ino
    monkeypatch.setattr(Path, "replace", fails(number))
    write_output(file, NEW)
    assert file.read_bytes() == NEW
    assert file.stat().st_ino == before
    assert list(file.parent.iterdir()) == [file]


def test_in_a_folder_that_is_read_only_a_file_is_written_in_place(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "_make", fails(errno.EROFS, only_in=file.parent))
    check_output("--out", file)
    write_output(file, NEW)
    assert file.read_bytes() == NEW
    with pytest.raises(ValueError, match=r"can't be written \(Read-only file system\); give another file"):
        check_output("--out", file.with_name("not there yet"))


def test_a_full_disk_is_seen_before_anything_is_measured(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "_make", fails(errno.ENOSPC))
    with pytest.raises(ValueError, match=r"^--out .* can't be written \(No space left on device\); give another file$"):
        check_output("--out", file)
    assert file.read_bytes() == OLD
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("blocks", "flags", "why"),
    [(0, 0, "No space left"), (10**6, os.ST_RDONLY, "Read-only"), (10**6, 0, "")],
)
def test_a_file_that_is_mounted_is_looked_at_for_itself(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, flags: int, why: str
) -> None:
    odd = file.rename(tmp_path / "an out")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"1 2 0:3 /x {str(odd).replace(' ', chr(92) + '040')} rw - ext4 /dev/x rw\n")
    monkeypatch.setattr(outputs, "MOUNTS", mounts)
    disk = os.statvfs(odd)
    fields = [*disk[:4], blocks, *disk[5:8], flags, disk[9]]
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result([*fields, disk.f_fsid]))
    monkeypatch.setattr(os, "access", lambda *_: not flags)
    if why:
        with pytest.raises(ValueError, match=why):
            check_output("--out", odd)
    else:
        check_output("--out", odd)


def test_where_nothing_works_it_is_said_that_the_figures_are_lost(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "_make", fails(errno.ENOSPC))
    with pytest.raises(NotWrittenError, match="nor could another place be found"):
        write_output(file, NEW)
    assert file.read_bytes() == OLD


def test_another_place_is_looked_for_where_the_first_is_full(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "_make", fails(errno.ENOSPC, only_in=elsewhere))
    monkeypatch.setattr(outputs, "_places", lambda: iter([lambda: elsewhere, lambda: tmp_path]))
    kept = keep_elsewhere(Path("/nowhere/out.json"), NEW)
    assert kept is not None
    assert kept.parent == tmp_path
    assert kept.name.endswith("-out.json")
    assert kept.read_bytes() == NEW


def test_a_link_that_somebody_has_put_in_the_way_is_not_followed(
    file: Path, tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "_chance", lambda: "guessed")
    (tmp_path / ".tickbench-guessed.part").symlink_to(file)
    (elsewhere / "tickbench-guessed-other").symlink_to(file)
    monkeypatch.setattr(outputs, "_places", lambda: iter([lambda: elsewhere]))
    with pytest.raises(NotWrittenError):
        write_output(tmp_path / "other", NEW)
    assert file.read_bytes() == OLD


def test_what_is_no_place_for_a_file_is_one_line(tmp_path: Path) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    (tmp_path / "astray").symlink_to("nowhere/out")
    (tmp_path / "plain").write_bytes(OLD)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
        for name in ("", "nowhere/out", "plain/out", "circle", "astray", "socket", "x" * 300):
            with pytest.raises(ValueError, match=r"^--out .*; ") as error:
                check_output("--out", tmp_path / name)
            assert "\n" not in str(error.value)


def test_a_plain_file_is_not_stdout(file: Path) -> None:
    assert not is_stdout(file)
    assert not is_stdout(file.with_name("not there"))
