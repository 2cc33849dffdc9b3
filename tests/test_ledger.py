import json

import pytest

from overread import ledger
from overread.errors import InputError

OPENING = {"analysis": "evaluate", "models": ["b", "a"], "cases": 100, "labels_hash": "l", "protocol_hash": "p"}


def opened(path, times):
    return [ledger.append(path, **OPENING) for _ in range(times)]


def test_every_opening_is_kept_in_order_and_chained(tmp_path):
    path = tmp_path / "ledger.jsonl"
    written = opened(path, 3)
    entries = ledger.read(path)
    assert entries == written
    assert [e.number for e in entries] == [1, 2, 3]
    assert entries[0].models == ("a", "b")
    assert [e.previous for e in entries[1:]] == [e.hash for e in entries[:-1]]


@pytest.mark.parametrize("damage", ["change", "remove first", "remove middle", "insert", "reorder", "no json"])
def test_a_line_that_was_touched_is_named(tmp_path, damage):
    path = tmp_path / "ledger.jsonl"
    opened(path, 3)
    lines = path.read_text().splitlines()
    if damage == "change":
        lines[1] = json.dumps({**json.loads(lines[1]), "cases": 1})
    damaged = {
        "change": lines, "remove first": lines[1:], "remove middle": [lines[0], lines[2]],
        "insert": [lines[0], lines[0], *lines[1:]], "reorder": [lines[1], lines[0], lines[2]],
        "no json": [lines[0], "{", lines[2]],
    }[damage]  # fmt: skip
    path.write_text("\n".join(damaged) + "\n")
    expected = 1 if damage in ("remove first", "reorder") else 2
    with pytest.raises(InputError, match=f"line {expected}: "):
        ledger.read(path)
    with pytest.raises(InputError):
        ledger.append(path, **OPENING)
