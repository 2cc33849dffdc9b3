"""One command at a time in a folder: the second is told who is there; a killed one leaves nothing in the way."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import threading

import pytest

from overread import tables
from overread.errors import InputError
from overread.tables.storage import locks as module
from overread.tables.storage.locks import LOCK, holding

HOLD = """
import sys, time
from overread.tables.storage.locks import holding
with holding(sys.argv[1], "cohort"):
    print("held", flush=True)
    time.sleep(100)
"""


def held_by_another(folder):
    """A process that holds a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_command_is_told_who_holds_the_folder(tmp_path):
    with (
        holding(tmp_path / "out", "train"),
        pytest.raises(InputError, match=rf"'overread train', process {os.getpid()} on .*, started 20") as error,
        holding(tmp_path / "out", "predict"),
    ):
        pass
    assert "Wait until it has ended" in str(error.value)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_a_process_that_is_killed_lets_the_folder_go_and_leaves_nothing(tmp_path):
    process = held_by_another(tmp_path)
    with pytest.raises(InputError, match=f"'overread cohort', process {process.pid}"), holding(tmp_path, "train"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / LOCK).is_file()
    with holding(tmp_path, "train"):
        record = json.loads((tmp_path / LOCK).read_text())
        assert (record["command"], record["process"]) == ("train", os.getpid())
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff", '{"host": "elsewhere"}', "0" * 10_000])
def test_a_damaged_lock_file_that_nobody_holds_is_taken_over(tmp_path, text):
    (tmp_path / LOCK).write_text(text)
    with holding(tmp_path, "train"):
        pass
    assert not (tmp_path / LOCK).exists()


def test_the_lock_of_another_host_stays_and_the_message_says_how_to_remove_it(tmp_path):
    record = {"command": "run", "process": 7, "host": "elsewhere", "started": "2026-01-01T00:00:00+00:00"}
    (tmp_path / LOCK).write_text(json.dumps(record))
    expected = f"process 7 on elsewhere.* If it has ended and left its lock, remove {tmp_path / LOCK}"
    with pytest.raises(InputError, match=expected), holding(tmp_path, "train"):
        pass
    assert json.loads((tmp_path / LOCK).read_text()) == record


def test_without_locks_the_file_alone_keeps_others_out(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "fcntl", None)
    with holding(tmp_path, "train"), pytest.raises(InputError, match="overread train"), holding(tmp_path, "run"):
        pass
    assert not (tmp_path / LOCK).exists()
    record = {"command": "run", "process": 7, "host": platform.node(), "started": "2026"}
    (tmp_path / LOCK).write_text(json.dumps(record))
    with pytest.raises(InputError, match=f"remove {tmp_path / LOCK}"), holding(tmp_path, "train"):
        pass


def test_a_lock_file_that_is_a_link_is_not_written_through(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(InputError), holding(tmp_path / "out", "train"):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_of_many_at_once_exactly_one_works_at_a_time(tmp_path):
    inside, most, refused, worked = 0, 0, 0, 0
    guard = threading.Lock()
    start = threading.Barrier(8)

    def one():
        nonlocal inside, most, refused, worked
        start.wait()
        for _ in range(50):
            try:
                with holding(tmp_path, "train"):
                    with guard:
                        inside += 1
                        most = max(most, inside)
                    with guard:
                        inside -= 1
                        worked += 1
            except InputError:
                with guard:
                    refused += 1

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, refused + worked) == (1, 400)
    assert worked >= 1
    assert list(tmp_path.iterdir()) == []


def test_files_under_way_that_a_killed_process_left_are_removed_and_no_others(tmp_path):
    ours = [
        ".run.json.0123abcd.part",
        "pixels/.part-00000.npy.89abcdef.part",
        "figures/.a b.svg.00000000.part",
        ".building/pixels/.part-00001.npy.0123abcd.part",
    ]
    theirs = [
        "video.part",
        ".a.part",
        ".x.0123ABCD.part",
        ".x.0123abcd.part2",
        "other/.x.0123abcd.part",
        "pixels/x.npy",
    ]
    for name in (*ours, *theirs):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "mine").write_text("x")
    (tmp_path / ".l.0123abcd.part").symlink_to(tmp_path / "mine")
    (tmp_path / "report").symlink_to(tmp_path / "other")
    with holding(tmp_path, "run"):
        pass
    assert [name for name in ours if (tmp_path / name).exists()] == []
    assert [name for name in (*theirs, ".l.0123abcd.part", "mine") if not (tmp_path / name).exists()] == []


@pytest.mark.parametrize(
    ("umask", "public", "private"),
    [(0o077, 0o600, 0o600), (0o027, 0o640, 0o600), (0o022, 0o644, 0o600), (0o002, 0o664, 0o600)],
)
def test_files_and_folders_have_the_permissions_that_the_umask_leaves(tmp_path, umask, public, private):
    old = os.umask(umask)
    try:
        tables.write_text(tmp_path / "new" / "a.txt", "x")
        with tables.replacing(tmp_path / "new" / "b.txt") as under_way:
            assert under_way.stat().st_mode & 0o777 == public
            under_way.write_text("x")
        with tables.replacing(tmp_path / "c.txt", mode=0o600) as under_way:
            assert under_way.stat().st_mode & 0o777 == private
            under_way.write_text("x")
        with tables.locked(tmp_path / "ledger"):
            pass
        with holding(tmp_path, "run"):
            assert (tmp_path / LOCK).stat().st_mode & 0o777 == public
    finally:
        os.umask(old)
    modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.rglob("*")}
    assert modes == {"new": 0o777 & ~umask, "a.txt": public, "b.txt": public, "c.txt": private, "ledger": public}


@pytest.mark.parametrize("inside", ["", "new", "new/deep"])
def test_a_finished_stage_of_a_study_takes_no_other_command(tmp_path, inside):
    stage = tmp_path / "study" / "evaluation"
    stage.mkdir(parents=True)
    (stage / "stage.json").write_text("{}")
    said = r"apart from the stages of a study; found the stage .*evaluation"
    with pytest.raises(InputError, match=said), holding(stage / inside, "report"):
        pass
    assert [p.name for p in stage.iterdir()] == ["stage.json"]
    with holding(tmp_path / "study" / ".evaluation.part", "evaluate"):  # where the study makes it
        pass


@pytest.mark.slow
@pytest.mark.skipif(module.fcntl is None, reason="no locks of files on this system")
@pytest.mark.parametrize("below", ["cohort", "models/a/seed-1"])
def test_a_folder_within_one_that_another_process_writes_to_is_refused(tmp_path, below):
    program = (
        "import sys, time\nfrom overread.tables import holding\n"
        "with holding(sys.argv[1], 'run'):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        try:
            said = rf"found 'overread run', process {other.pid} on "
            with pytest.raises(InputError, match=said), holding(tmp_path / below, "cohort"):
                pass
        finally:
            other.kill()
    assert not (tmp_path / below).exists()
    with holding(tmp_path, "run"), holding(tmp_path / below, "cohort"):  # a study's own stages
        pass
