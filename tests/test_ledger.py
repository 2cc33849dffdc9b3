import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread import ledger
from overread.errors import InputError, WriteError

ACCESS = {"analysis": "evaluate", "models": ["b", "a"], "cases": 100, "labels_hash": "l", "protocol_hash": "p"}


def append(path, times):
    return [ledger.append(path, **ACCESS) for _ in range(times)]


def test_every_access_is_kept_in_order_and_chained(tmp_path):
    path = tmp_path / "ledger.jsonl"
    written = append(path, 3)
    entries = ledger.read(path)
    assert entries == written
    assert [e.number for e in entries] == [1, 2, 3]
    assert entries[0].models == ("a", "b")
    assert [e.previous for e in entries[1:]] == [e.hash for e in entries[:-1]]


@pytest.mark.parametrize("damage", ["change", "remove first", "remove middle", "insert", "reorder", "no json"])
def test_a_line_that_was_touched_is_named(tmp_path, damage):
    path = tmp_path / "ledger.jsonl"
    append(path, 3)
    lines = path.read_text().splitlines()
    if damage == "change":
        lines[1] = json.dumps({**json.loads(lines[1]), "cases": 1})
    damaged = {
        "change": lines,
        "remove first": lines[1:],
        "remove middle": [lines[0], lines[2]],
        "insert": [lines[0], lines[0], *lines[1:]],
        "reorder": [lines[1], lines[0], lines[2]],
        "no json": [lines[0], "{", lines[2]],
    }[damage]
    path.write_text("\n".join(damaged) + "\n")
    expected = 1 if damage in ("remove first", "reorder") else 2
    with pytest.raises(InputError, match=f"line {expected}: "):
        ledger.read(path)


def test_appending_reads_only_the_end_and_names_a_changed_last_line(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    append(path, 40)
    read = []
    real = ledger._read
    monkeypatch.setattr(ledger, "_read", lambda file, size: read.append(size) or real(file, size))
    append(path, 1)
    assert sum(read) <= ledger._BLOCK < path.stat().st_size
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], json.dumps({**json.loads(lines[-1]), "cases": 1})]) + "\n")
    with pytest.raises(InputError, match="last line: expected an entry of the ledger with its hash; found a line"):
        ledger.append(path, **ACCESS)


def test_an_entry_longer_than_a_block_is_read_whole(tmp_path):
    path = tmp_path / "ledger.jsonl"
    long = {**ACCESS, "models": [f"model-{k:05d}" for k in range(3000)]}
    ledger.append(path, **long)
    ledger.append(path, **long)
    assert [e.number for e in ledger.read(path)] == [1, 2]


def test_entries_have_a_kind_and_one_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append(path, 1)
    line = json.loads(path.read_text())
    assert line["kind"] == "access to test labels"
    path.write_text(json.dumps({k: v for k, v in line.items() if k != "kind"}) + "\n")
    with pytest.raises(InputError, match="line 1"):
        ledger.read(path)


@pytest.mark.slow
@given(st.integers(0, 5), st.data())
def test_a_file_cut_anywhere_goes_on_as_one_chain_and_nothing_cut_off_is_lost(tmp_path_factory, entries, data):
    path = tmp_path_factory.mktemp("cut") / "ledger.jsonl"
    path.touch()
    append(path, entries)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    ended, _, fragment = whole[:cut].rpartition(b"\n")
    assert len(ledger.read(path)) == ended.count(b"\n") + bool(ended) + (whole[cut : cut + 1] == b"\n")
    ledger.append(path, **ACCESS)
    found = ledger.read(path)
    torn = [e for e in found if e.kind == ledger.TORN_TAIL]
    kept = [p.read_bytes() for p in path.parent.glob("ledger.jsonl.torn-*")]
    if fragment and whole[cut : cut + 1] != b"\n":
        assert kept == [fragment]
        assert [found[-2].kind, found[-1].kind] == [ledger.TORN_TAIL, ledger.ACCESS]
        assert (path.parent / f"ledger.jsonl.torn-{torn[0].fragment[:12]}").read_bytes() == fragment
        assert ledger.faults(path, None) == [
            "The ledger records 1 half-written entry (torn tail): an access to test labels may have been interrupted."
        ]
    else:
        assert (torn, kept, ledger.faults(path, None)) == ([], [], [])


def test_a_torn_tail_is_reported_before_it_is_set_aside(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append(path, 2)
    path.write_bytes(path.read_bytes() + b'{"number": 3, "ti')
    assert len(ledger.read(path)) == 2
    assert ledger.faults(path, None) == ["The last line of the ledger is half-written (17 bytes)."]


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    append(path, 2)
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger.os, "fsync", fail)
    with pytest.raises(WriteError, match=r"ledger\.jsonl: expected free space on the disk; found a full disk\."):
        ledger.append(path, **ACCESS)
    assert path.read_bytes() == before
    monkeypatch.undo()
    append(path, 1)
    assert [e.number for e in ledger.read(path)] == [1, 2, 3]


@pytest.mark.slow
def test_four_processes_keep_one_chain(tmp_path):
    path = tmp_path / "ledger.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append, args=(path, 50)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [w.exitcode for w in writers] == [0] * 4
    assert [e.number for e in ledger.read(path)] == list(range(1, 201))


WRITER = """
import sys
from overread import ledger
while True:
    ledger.append(sys.argv[1], analysis="x", models=["m" * 3000], cases=1, labels_hash="l", protocol_hash="p")
    print("done", flush=True)
"""


@pytest.mark.slow
def test_kill_9_while_appending_leaves_a_chain_that_goes_on(tmp_path):
    path = tmp_path / "ledger.jsonl"
    reported = 0
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(20):
            reported += child.stdout.readline() == "done\n"
        child.send_signal(signal.SIGKILL)
        reported += child.communicate()[0].count("done\n")
    append(path, 1)
    accesses = [e for e in ledger.read(path) if e.kind == ledger.ACCESS]
    assert len(accesses) >= reported + 1  # every entry that was reported as written is there


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_cut_tail_is_noticed_by_the_head_that_an_evaluation_keeps(tmp_path, left):
    path = tmp_path / "ledger.jsonl"
    head = append(path, 3)[-1].head
    assert ledger.faults(path, head) == []
    append(path, 1)
    assert ledger.faults(path, head) == [], "a later access changes nothing"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:left]))
    assert len(ledger.read(path)) == left
    (said,) = ledger.faults(path, head)
    assert said.startswith(
        f"The ledger does not contain entry 3 (hash {head['hash'][:12]}), which this evaluation wrote"
    )
    ledger.append(path, **{**ACCESS, "cases": 7})
    append(path, 3)
    assert ledger.faults(path, head) == [said], "an entry of the same number but another hash is another one"
    Path(path).unlink()
    assert ledger.faults(path, head) == ["There is no ledger: entry 3, written by this evaluation, was not checked."]


@pytest.mark.parametrize(
    "changes",
    [
        {"models": "ab"},
        {"models": [{}]},
        {"number": True},
        {"number": "1"},
        {"number": 1.0},
        {"cases": -1},
        {"kind": ["x"]},
        {"hash": None},
        {"time": 3},
        {"more": 1},
        {"analysis": {"a": []}},
    ],
)
def test_an_entry_of_odd_types_is_no_entry_also_with_a_right_hash(tmp_path, changes):
    path = tmp_path / "ledger.jsonl"
    append(path, 1)
    record = json.loads(path.read_text()) | changes
    body = {k: v for k, v in record.items() if k != "hash"}
    record["hash"] = changes.get("hash", ledger._hash(body))
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(InputError, match="line 1: expected an entry"):
        ledger.read(path)
    with pytest.raises(InputError, match="last line: expected an entry"):
        ledger.append(path, **ACCESS)


@pytest.mark.parametrize("line", [b"[]", b"[" * 100_000, b"\xff\xfe", b"NaN", b'{"number": 1, "number": 1}', b"null"])
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    path = tmp_path / "ledger.jsonl"
    append(path, 1)
    path.write_bytes(line + b"\n" + path.read_bytes())
    with pytest.raises(InputError, match="line 1: expected an entry"):
        ledger.read(path)


def test_a_deleted_ledger_is_a_sentence_in_the_report_and_a_new_one_begins(tmp_path):
    path = tmp_path / "ledger.jsonl"
    head = append(path, 2)[-1].head
    path.unlink()
    assert ledger.read(path) == []
    assert ledger.faults(path, head) == ["There is no ledger: entry 2, written by this evaluation, was not checked."]
    assert append(path, 1)[0].number == 1
    assert "does not contain entry 2" in ledger.faults(path, head)[0]


@pytest.mark.parametrize("end", [b"\n", b"\n\n", b"\n" * 5000])
def test_empty_lines_at_the_end_are_no_entries(tmp_path, end):
    path = tmp_path / "ledger.jsonl"
    append(path, 2)
    path.write_bytes(path.read_bytes() + end)
    assert len(ledger.read(path)) == 2
    append(path, 1)
    assert [e.number for e in ledger.read(path)] == [1, 2, 3]
    assert ledger.faults(path, ledger.read(path)[-1].head) == []


def again(path, **how):
    """Every line as another program would write the same record."""
    path.write_text("".join(json.dumps(json.loads(line), **how) + "\n" for line in path.read_text().splitlines()))


REWRITTEN = {
    "carriage returns": lambda p: p.write_bytes(p.read_bytes().replace(b"\n", b"\r\n")),
    "one carriage return at the end": lambda p: p.write_bytes(p.read_bytes()[:-1] + b"\r\n"),
    "an empty line of Windows": lambda p: p.write_bytes(p.read_bytes() + b"\r\n\n"),
    "white space at the end": lambda p: p.write_bytes(p.read_bytes().replace(b"}\n", b"} \n")),
    "white space before": lambda p: p.write_bytes(b"".join(b" " + s for s in p.read_bytes().splitlines(keepends=True))),
    "no spaces": lambda p: again(p, separators=(",", ":")),
    "sorted keys": lambda p: again(p, sort_keys=True),
    "escapes": lambda p: again(p, ensure_ascii=True),
}


@pytest.mark.parametrize("way", REWRITTEN)
def test_lines_that_are_not_byte_for_byte_as_written_are_refused_by_whoever_reads(tmp_path, way):
    path = tmp_path / "ledger.jsonl"
    heads = [ledger.append(path, **{**ACCESS, "analysis": "Zürich"}).head for _ in range(3)]
    REWRITTEN[way](path)
    before = path.read_bytes()
    for use in (
        lambda: ledger.read(path),
        lambda: ledger.faults(path, heads[-1]),
        lambda: ledger.record_missing(path, heads),
        lambda: append(path, 1),
    ):
        with pytest.raises(InputError, match="found a line that was changed"):
            use()
    assert path.read_bytes() == before


def test_a_last_line_without_its_end_is_whole(tmp_path):
    path = tmp_path / "ledger.jsonl"
    head = append(path, 2)[-1].head
    path.write_bytes(path.read_bytes()[:-1])
    assert ledger.faults(path, head) == []
    assert append(path, 1)[0].number == 3
    assert ledger.faults(path, head) == []


@pytest.mark.parametrize("empty", [b"", b"\n", b"\n\n"])
def test_a_ledger_of_nothing_but_empty_lines_begins_anew(tmp_path, empty):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(empty)
    assert ledger.read(path) == []
    append(path, 1)
    assert [e.number for e in ledger.read(path)] == [1]


@pytest.mark.parametrize(("make", "found"), [(os.mkfifo, "a named pipe"), (os.mkdir, "a folder")])
def test_what_is_no_file_is_no_ledger(tmp_path, make, found):
    path = tmp_path / "ledger.jsonl"
    make(path)
    for use in (lambda: ledger.read(path), lambda: ledger.faults(path, None), lambda: append(path, 1)):
        with pytest.raises(InputError, match=f"expected a ledger, a regular file; found {found}"):
            use()
