"""A stage is done once, goes on where it stopped, is done again when its inputs change; no old result is lost."""

import json

import pytest

from overread.protocol.stage import begun_with, stage


def counted(log, text="x", fail_after=None):
    def work(folder):
        for step in range(3):
            if fail_after == step:
                raise KeyboardInterrupt
            if not (folder / f"{step}.txt").exists():
                log.append(step)
                (folder / f"{step}.txt").write_text(text)

    return work


def test_a_finished_stage_is_not_done_again(tmp_path):
    log = []
    assert stage(tmp_path / "s", counted(log), config={"a": 1})
    assert not stage(tmp_path / "s", counted(log), config={"a": 1})
    assert log == [0, 1, 2]


def test_an_interrupted_stage_goes_on_where_it_stopped(tmp_path):
    log = []
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path / "s", counted(log, fail_after=2), config={"a": 1})
    assert not (tmp_path / "s").exists()
    stage(tmp_path / "s", counted(log), config={"a": 1})
    assert log == [0, 1, 2]


def test_a_change_does_it_again_from_the_start(tmp_path):
    log = []
    source = tmp_path / "in.txt"
    source.write_text("1")
    stage(tmp_path / "s", counted(log), config={}, inputs={"in": source})
    source.write_text("2")
    stage(tmp_path / "s", counted(log, text="y"), config={}, inputs={"in": source})
    assert log == [0, 1, 2, 0, 1, 2]
    assert (tmp_path / "s/0.txt").read_text() == "y"


def test_what_an_interrupted_run_of_something_else_left_is_not_used(tmp_path):
    log = []
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path / "s", counted(log, text="old", fail_after=2), config={"a": 1})
    stage(tmp_path / "s", counted(log, text="new"), config={"a": 2})
    assert {p.read_text() for p in (tmp_path / "s").glob("*.txt")} == {"new"}


def test_the_old_result_survives_a_new_one_that_fails(tmp_path):
    stage(tmp_path / "s", counted([], text="old"), config={"a": 1})
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path / "s", counted([], text="new", fail_after=1), config={"a": 2})
    assert {p.read_text() for p in (tmp_path / "s").glob("*.txt")} == {"old"}
    assert not stage(tmp_path / "s", counted([]), config={"a": 1}), "and it still counts as done"


def test_a_stage_records_with_how_many_threads_it_computes(tmp_path, monkeypatch):
    assert begun_with(tmp_path) is None
    for count, folder in enumerate(("b", "a", "c"), start=2):
        monkeypatch.setenv("OMP_NUM_THREADS", str(count))
        stage(tmp_path / folder, counted([]), config={})
        assert json.loads((tmp_path / folder / "stage.json").read_text())["computing"]["threads"] == str(count)
        assert begun_with(tmp_path) == count
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path / "d", counted([], fail_after=1), config={})
    assert begun_with(tmp_path) == 9


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"done": "x"}', '{"computing": {"threads": "many"}}', '{"computing": 3}']
)
def test_a_stamp_without_a_number_of_threads_is_passed_over(tmp_path, text, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    stage(tmp_path / "s", counted([]), config={})
    (tmp_path / "t").mkdir()
    (tmp_path / "t/stage.json").write_text(text)
    assert begun_with(tmp_path) == 3
