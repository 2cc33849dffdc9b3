"""A stage is done once, goes on where it stopped, is done again when its inputs change; no old result is lost."""

import json

import pytest

from overread.errors import InputError
from overread.protocol.stage_folder import begun_with, clear_left, stage


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


@pytest.mark.parametrize("made_by", ["hand", "a stage and by hand"])
def test_a_folder_with_what_no_stage_made_is_refused_before_the_work_and_stays(tmp_path, made_by):
    folder, log = tmp_path / "s", []
    if made_by != "hand":
        stage(folder, counted([]), config={"a": 1})
    folder.mkdir(exist_ok=True)
    (folder / "precious.txt").write_text("mine")
    before = {p.name: p.read_text() for p in folder.iterdir()}
    with pytest.raises(InputError, match=r"precious\.txt"):
        stage(folder, counted(log), config={"a": 2})
    assert log == []
    assert {p.name: p.read_text() for p in folder.iterdir()} == before


def test_a_file_that_appears_during_the_work_is_not_removed_and_the_work_is_not_lost(tmp_path):
    folder, log = tmp_path / "s", []
    stage(folder, counted([], text="old"), config={"a": 1})

    def work(part):
        counted(log, text="new")(part)
        (folder / "precious.txt").write_text("mine")

    with pytest.raises(InputError, match=r"precious\.txt"):
        stage(folder, work, config={"a": 2})
    assert (folder / "precious.txt").read_text() == "mine"
    (folder / "precious.txt").rename(tmp_path / "precious.txt")
    stage(folder, work, config={"a": 2})
    assert log == [0, 1, 2]
    assert (folder / "0.txt").read_text() == "new"


@pytest.mark.parametrize("name", ["s", ".s.part", ".s.old"])
def test_links_and_folders_of_the_user_are_neither_written_to_nor_removed(tmp_path, name):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "a").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / name).symlink_to(precious)
    with pytest.raises(InputError):
        stage(out / "s", counted([]), config={})
    (out / name).unlink()
    (out / name).mkdir()
    (out / name / "b").write_text("mine")
    with pytest.raises(InputError):
        stage(out / "s", counted([]), config={})
    assert ((precious / "a").read_text(), (out / name / "b").read_text()) == ("mine", "mine")
    assert [p.name for p in precious.iterdir()] == ["a"]


@pytest.mark.parametrize("killed_at", range(1, 12))
def test_a_kill_while_the_result_is_put_in_place_costs_nothing(tmp_path, monkeypatch, killed_at):
    from overread.protocol import stage_folder as module
    from overread.tables.storage import made

    stage(tmp_path / "s", counted([], text="old"), config={"a": 1})
    steps = [0]

    def counting(real):
        def step(*args):
            steps[0] += 1
            if steps[0] == killed_at:
                raise KeyboardInterrupt
            return real(*args)

        return step

    monkeypatch.setattr(module, "move", counting(module.move))
    monkeypatch.setattr(made, "remove", counting(made.remove))
    log = []
    try:
        stage(tmp_path / "s", counted(log, text="new"), config={"a": 2})
    except KeyboardInterrupt:
        monkeypatch.undo()
        stage(tmp_path / "s", counted(log, text="new"), config={"a": 2})
    monkeypatch.undo()
    assert log == [0, 1, 2]
    assert {p.read_text() for p in (tmp_path / "s").glob("*.txt")} == {"new"}
    stage(tmp_path / "s", counted(log, text="newer"), config={"a": 3})
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_work_of_stages_that_the_protocol_no_longer_has_is_removed_and_other_folders_stay(tmp_path):
    for name in ("now", "then"):
        with pytest.raises(KeyboardInterrupt):
            stage(tmp_path / name, counted([], fail_after=2), config={})
    (tmp_path / ".mine.part").mkdir()
    (tmp_path / ".mine.part" / "a").write_text("mine")
    clear_left(tmp_path, {tmp_path / "now"})
    assert sorted(p.name for p in tmp_path.iterdir()) == [".mine.part", ".now.part"]


def test_a_run_that_was_killed_while_it_wrote_its_first_stamp_is_begun_anew(tmp_path):
    part = tmp_path / ".models.part"
    part.mkdir()
    (part / ".stage.json.0f3c9a1e.part").write_text('{"under')
    assert stage(tmp_path / "models", lambda folder: (folder / "a.txt").write_text("a"), config={})
    assert (tmp_path / "models" / "a.txt").read_text() == "a"
    assert not part.exists()
