import errno
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from tickbench.compare.results import ChildRecord, ResultFolder, Run, read_results, read_unfinished
from tickbench.compare.suite import Suite
from tickbench.errors import InputError

RUN = "runs/001-asyncio-fanout-naive.json"


def test_what_is_written_is_read_back(folder: Path, suite: Suite, make_run: Callable[..., Run]) -> None:
    results = read_results(folder)
    assert results.record.suite == suite
    assert results.record.id == folder.name == "2026-11-21-143000-small"
    assert results.runs[0] == make_run(1, "asyncio:fanout=naive")
    assert results.files == [RUN, "runs/002-gevent.json"]


def test_a_folder_whose_name_is_no_text_is_recorded_as_well_as_it_can_be(
    folder: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run(3, "gevent")
    server = ChildRecord(command=["python", "--scores", "/tmp/b\udcff/x"], exit_status=0, was_killed=False, log_tail=[])  # noqa: S108
    ResultFolder(folder).write_run(msgspec.structs.replace(run, server=server), "gevent")
    written = read_results(folder).runs[2].server
    assert written is not None
    assert written.command == ["python", "--scores", "/tmp/b?/x"]  # noqa: S108
    assert read_results(folder).runs[2].load == run.load


def test_every_record_names_its_schema_first(folder: Path) -> None:
    for name, schema in [("suite.json", "suite"), ("environment.json", "environment"), (RUN, "run")]:
        record = json.loads((folder / name).read_text("utf-8"))
        assert next(iter(record.items())) == ("schema", f"tickbench.{schema}/1")


def test_fields_of_a_later_tickbench_are_passed_over(folder: Path) -> None:
    change(folder / RUN, added_later=1)
    assert len(read_results(folder).runs) == 2


def test_nothing_unfinished_is_left_behind(folder: Path) -> None:
    assert sorted(path.name for path in folder.rglob("*") if path.name.startswith(".")) == [".lock"]


def test_two_comparisons_in_one_second_get_two_folders(tmp_path: Path, suite: Suite) -> None:
    now = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
    names = [ResultFolder.create(tmp_path, suite, now).path.name for _ in range(2)]
    assert names == ["2026-11-21-143000-small", "2026-11-21-143000-small-2"]


def test_latest_leads_to_the_newest_and_takes_nobodys_place(tmp_path: Path, suite: Suite) -> None:
    now = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
    for _ in range(2):
        made = ResultFolder.create(tmp_path, suite, now)
        made.point_latest_here()
        assert (tmp_path / "latest").resolve() == made.path
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").mkdir()
    made.point_latest_here()
    assert not (tmp_path / "latest").is_symlink()


@pytest.mark.parametrize("name", ["suite.json", "environment.json", RUN])
@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "damaged"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: path.write_bytes(b"\xff\xfe{}"), "damaged"),
        (lambda path: path.write_text("[]"), "damaged"),
        (lambda path: change(path, schema="tickbench.x/2"), "has schema 'tickbench.x/2', this tickbench reads"),
        (lambda path: change(path, schema="tickbench.run/1", number="one", id=1, python=1), "damaged|has schema"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line_and_left_as_it_is(
    folder: Path, name: str, damage: Callable[[Path], object], complaint: str
) -> None:
    damage(folder / name)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=complaint) as error:
        read_results(folder)
    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_histogram_that_is_none_is_found_on_reading(folder: Path) -> None:
    record = json.loads((folder / RUN).read_text("utf-8"))
    record["load"]["tick_lateness_ms"]["hdr"] = "bm90IGEgaGlzdG9ncmFt"
    (folder / RUN).write_text(json.dumps(record), "utf-8")
    with pytest.raises(InputError, match="damaged"):
        read_results(folder)


def test_the_load_summary_of_a_later_tickbench_is_refused(folder: Path) -> None:
    record = json.loads((folder / RUN).read_text("utf-8"))
    record["load"]["schema"] = "tickbench.load/2"
    (folder / RUN).write_text(json.dumps(record), "utf-8")
    with pytest.raises(InputError, match=r"tickbench\.load/2"):
        read_results(folder)


def test_a_missing_environment_is_said(folder: Path) -> None:
    (folder / "environment.json").unlink()
    with pytest.raises(InputError, match="No such file"):
        read_results(folder)


def test_a_folder_without_a_suite_or_without_runs_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results folder"):
        read_results(tmp_path)
    for path in (folder / "runs").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="nothing to report"):
        read_results(folder)


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), "utf-8")


def test_what_a_killed_process_had_begun_to_write_is_taken_away(folder: Path) -> None:
    keep = sorted(path for path in folder.rglob("*") if path.is_file())
    for name in (".suite.json.77", "runs/.003-blocks-gevent.json.4711", ".report.html.1"):
        (folder / name).write_text("{", "utf-8")
    (folder / "runs" / ".mine").write_text("not ours", "utf-8")
    ResultFolder(folder).forget_unfinished()
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted([*keep, folder / "runs" / ".mine"])


def test_a_folder_without_a_run_can_be_gone_on_with_and_not_reported(folder: Path) -> None:
    for file in (folder / "runs").iterdir():
        file.unlink()
    assert read_unfinished(folder).runs == []
    with pytest.raises(InputError, match="no run that ended"):
        read_results(folder)


def test_two_files_of_one_run_are_refused(folder: Path) -> None:
    (folder / "runs" / "002-again.json").write_bytes((folder / "runs" / "002-gevent.json").read_bytes())
    with pytest.raises(InputError, match="are both run 2"):
        read_results(folder)


def test_two_cannot_make_runs_for_one_folder(folder: Path) -> None:
    first, second = ResultFolder(folder), ResultFolder(folder)
    first.hold()
    with pytest.raises(InputError, match="another tickbench makes runs"):
        second.hold()


def test_what_cannot_be_written_is_said_in_one_line(folder: Path) -> None:
    (folder / "runs.csv").mkdir()
    with pytest.raises(InputError, match=r"cannot be written \(Is a directory\)"):
        ResultFolder(folder).write_text("runs.csv", "x")


def test_a_file_that_cannot_be_written_leaves_no_part_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def disk_is_full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", disk_is_full)
    with pytest.raises(
        InputError, match=r"cannot be written \(No space left on device\); what is in it stays as it is"
    ):
        ResultFolder(folder).write_text("report.md", "new")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
