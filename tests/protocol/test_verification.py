"""What was altered in the folders of commands is named, and the next command refuses it by name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from overread import integrity, ledger, runs, tables
from overread.errors import InputError
from overread.protocol import evaluate, refuse_altered, report, verify
from overread.protocol.stage_folder import stage
from overread.tables.storage.made import STAMP

ACCESS = {"analysis": "evaluate", "models": ["m"], "cases": 3, "labels_hash": "a" * 64, "protocol_hash": ""}


def write_run(folder: Path, *names: str, command: str = "x") -> None:
    with runs.start(folder, command, config={}) as run:
        for name in names:
            run.output(tables.write_text(folder / name, f"content of {name}"))


def named(folder: Path) -> dict[str, list[str]]:
    """Every difference by the name of its folder."""
    return {f.folder.name: [str(d) for d in (*f.differences, *f.faults)] for f in verify(folder) if not f.unchanged}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A study of two stages, and the folder of a single command in it."""
    root = tmp_path / "all"
    with runs.start(root, "run", config={}) as done:
        for name in ("one", "two"):
            stage(root / name, lambda part: write_run(part, "table.csv", "pixels/part-0.npy"), config={"a": name})
            done.output(root / name / STAMP)
    write_run(root / "alone", "notes.json")
    return root


def test_what_nobody_touched_is_unchanged_wherever_it_is_copied_to(made, tmp_path):
    assert named(made) == {}
    shutil.copytree(made, tmp_path / "copy", copy_function=shutil.copyfile)
    assert named(tmp_path / "copy") == {}
    assert [f.files for f in verify(made)] == [3, 2, 4, 4]
    refuse_altered(made, None, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "difference"),
    [
        ("one/table.csv", "table.csv"),
        ("two/pixels/part-0.npy", "pixels/part-0.npy"),
        ("alone/notes.json", "notes.json"),
    ],
)
def test_every_changed_and_missing_file_is_named(made, name, difference):
    folder = name.split("/")[0]
    state = (made / name).stat()
    (made / name).write_bytes((made / name).read_bytes().swapcase())
    os.utime(made / name, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert named(made) == {folder: [f"{difference}: changed"]}
    with pytest.raises(InputError, match=f"{difference}: changed"):
        refuse_altered(made / folder / "run.json")
    (made / name).unlink()
    assert named(made) == {folder: [f"{difference}: missing"]}


def test_a_record_that_was_removed_edited_or_is_of_another_stage_is_named(made):
    path = made / "one/run.json"
    whole = path.read_text()
    path.unlink()
    assert named(made) == {"one": ["run.json: missing"]}
    for text in (json.dumps(json.loads(whole) | {"command": "y"}), "", "[1]"):
        path.write_text(text)
        assert named(made)["one"][0] == "run.json: changed"
    path.write_text((made / "two/run.json").read_text())
    assert named(made) == {"one": [f"run.json or {STAMP}: of another run"]}
    path.write_text(whole)
    assert named(made) == {}


def test_a_stamp_that_was_removed_edited_or_is_of_another_stage_is_named(made):
    path = made / "one" / STAMP
    whole = path.read_text()
    path.unlink()
    assert named(made) == {"all": [f"one/{STAMP}: missing"], "one": [f"{STAMP}: missing"]}
    for text in (json.dumps(json.loads(whole) | {"done": "0" * 64}), ""):
        path.write_text(text)
        assert named(made) == {"all": [f"one/{STAMP}: changed"], "one": [f"{STAMP}: changed"]}
    path.write_text((made / "two" / STAMP).read_text())
    assert named(made) == {"all": [f"one/{STAMP}: changed"], "one": [f"run.json or {STAMP}: of another run"]}
    shutil.rmtree(made / "one")
    assert named(made) == {"all": [f"one/{STAMP}: missing"]}


def test_a_file_that_nobody_wrote_is_a_difference_only_among_parts(made):
    (made / "one" / "mine.txt").write_text("")
    (made / "one" / ".cache").mkdir()
    assert named(made) == {}
    remarks = {f.folder.name: list(f.remarks) for f in verify(made)}
    assert remarks["one"] == [".cache: additional, not compared", "mine.txt: additional, not compared"]
    (made / "one/pixels/part-9.npy").write_text("")
    assert named(made) == {"one": ["pixels/part-9.npy: additional"]}


def test_links_in_place_of_files_and_folders_are_named(made, tmp_path):
    shutil.move(made / "one/table.csv", tmp_path / "t.csv")
    (made / "one/table.csv").symlink_to(tmp_path / "t.csv")
    shutil.move(made / "two/pixels", tmp_path / "pixels")
    (made / "two/pixels").symlink_to(tmp_path / "pixels")
    assert named(made) == {"one": ["table.csv: a link in its place"], "two": ["pixels: a link in its place"]}


def test_no_folder_of_ours(tmp_path):
    with pytest.raises(InputError, match="expected a folder; found none there"):
        verify(tmp_path / "none")
    with pytest.raises(InputError, match="found none in it or below it"):
        verify(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run.json", STAMP, "table.csv", "pixels/part-0.npy"])
@pytest.mark.parametrize("way", ["change", "empty", "remove"])
def test_an_altered_stage_is_neither_believed_nor_made_again(made, name, way):
    path = made / "one" / name
    if way == "remove":
        path.unlink()
    else:
        path.write_bytes(b"" if way == "empty" else path.read_bytes().swapcase())
    work = []
    with pytest.raises(InputError, match=path.name.replace(".", r"\.")):
        stage(made / "one", work.append, config={"a": "one"})
    assert work == []
    tables.remove(made / "one")
    assert stage(made / "one", lambda part: write_run(part, "table.csv"), config={"a": "one"}), "removed: made again"


def test_a_stage_made_again_at_another_time_is_the_same_input(tmp_path):
    stage(tmp_path / "a", lambda part: write_run(part, "t.csv"), config={})
    done = stage(tmp_path / "b", lambda part: write_run(part, "t.csv"), config={}, inputs={"a": tmp_path / "a" / STAMP})
    assert done
    tables.remove(tmp_path / "a")
    stage(tmp_path / "a", lambda part: write_run(part, "t.csv"), config={})
    again = stage(tmp_path / "b", lambda part: None, config={}, inputs={"a": tmp_path / "a" / STAMP})
    assert not again


# --- evaluation, report, ledger


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """An evaluation with its report."""
    return evaluated(tmp_path)


def evaluated(folder: Path) -> Path:
    from overread.evaluation import EvaluationConfig

    n = 40
    ids = [f"c{i:02d}" for i in range(n)]
    truth = pl.DataFrame({"image_id": ids, "patient_id": ids, "edema": [i % 2 for i in range(n)]})
    tables.write_frame(truth, folder / "truth.csv")
    scores = pl.DataFrame({"image_id": ids, "edema": [((i * 37) % n) / n for i in range(n)]})
    tables.write_frame(scores, folder / "acme.csv")
    config = EvaluationConfig(replicates=100, subgroups=())
    evaluate(folder / "truth.csv", folder / "truth.csv", [folder / "acme.csv"], out=folder / "out", config=config)
    return folder / "out"


@pytest.mark.slow
def test_an_evaluation_and_its_report_are_recorded_whole(evidence):
    assert named(evidence) == {}
    own = set(runs.read(evidence)["outputs"])
    assert {p.name for p in evidence.iterdir() if p.is_file()} == own | {"run.json", "ledger.jsonl"}
    written = {p.relative_to(evidence / "report").as_posix() for p in (evidence / "report").rglob("*") if p.is_file()}
    assert set(runs.read(evidence / "report")["outputs"]) == written - {"run.json", "made.json"}
    head = ledger.read(evidence / "ledger.jsonl")[-1].head
    assert runs.read(evidence)["notes"]["ledger"] == {**head, "file": "ledger.jsonl"}
    assert runs.read(evidence / "report")["notes"]["ledger"] == {**head, "file": "../ledger.jsonl"}


@pytest.mark.slow
def test_estimates_of_0_99_are_refused_by_the_report(evidence, tmp_path):
    frame = pl.read_parquet(evidence / "estimates.parquet").with_columns(estimate=pl.lit(0.99))
    frame.write_parquet(evidence / "estimates.parquet")
    with pytest.raises(InputError, match=r"estimates\.parquet: changed"):
        report(evidence, tmp_path / "page", title="t")
    assert not (tmp_path / "page").exists()
    (evidence / "estimates.parquet").unlink()
    with pytest.raises(InputError, match=r"estimates\.parquet: missing"):
        report(evidence, tmp_path / "page", title="t")


@pytest.mark.slow
def test_the_report_itself_is_compared(evidence):
    page = evidence / "report/report.html"
    page.write_text(page.read_text().replace("0.", "1."))
    (evidence / "report/checklists.csv").unlink()
    assert named(evidence) == {"report": ["checklists.csv: missing", "report.html: changed"]}


@pytest.mark.slow
def test_a_table_that_a_run_wrote_is_refused_by_an_evaluation_when_it_was_altered(evidence, tmp_path):
    from overread.evaluation import EvaluationConfig

    write_run(tmp_path / "predictions")
    with runs.start(tmp_path / "predictions", "predict", config={}) as run:
        run.output(shutil.copy(tmp_path / "acme.csv", tmp_path / "predictions/acme.csv"))
    given = (tmp_path / "truth.csv", tmp_path / "truth.csv", [tmp_path / "predictions/acme.csv"])
    config = EvaluationConfig(replicates=100, subgroups=())
    evaluate(*given, out=tmp_path / "again", config=config)
    frame = pl.read_csv(tmp_path / "acme.csv").reverse()
    frame.with_columns(edema=1 - pl.col("edema")).write_csv(tmp_path / "predictions/acme.csv")
    with pytest.raises(InputError, match=r"acme\.csv: changed"):
        evaluate(*given, out=tmp_path / "again", config=config)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (lambda book: book.write_text(""), "does not contain entry 1"),
        (lambda book: book.unlink(), "There is no ledger: entry 1"),
        (lambda book: book.write_text(book.read_text()[:-40]), "does not contain entry 1"),
        (lambda book: (book.unlink(), ledger.append(book, **ACCESS)), "does not contain entry 1"),
        (lambda book: book.write_text(book.read_text().replace("evaluate", "look")), "a line that was changed"),
    ],
)
def test_an_emptied_cut_replaced_removed_or_changed_ledger_is_named(evidence, alter, words):
    alter(evidence / "ledger.jsonl")
    (found,) = [f for f in verify(evidence) if f.folder == evidence]
    assert any(words in fault for fault in found.faults), found.faults


@pytest.mark.slow
def test_an_evaluation_after_a_lost_ledger_says_so_from_then_on(evidence, tmp_path):
    lost = ledger.read(evidence / "ledger.jsonl")[0]
    (evidence / "ledger.jsonl").unlink()
    evaluated(tmp_path)
    entries = ledger.read(evidence / "ledger.jsonl")
    assert [(e.kind, e.fragment) for e in entries] == [(ledger.MISSING, lost.hash), (ledger.ACCESS, "")]
    said = "the ledger lost entry 1"
    assert said in (evidence / "report/report.html").read_text()
    evaluated(tmp_path)
    assert [e.kind for e in ledger.read(evidence / "ledger.jsonl")] == [ledger.MISSING, ledger.ACCESS, ledger.ACCESS]
    assert said in (evidence / "report/report.html").read_text(), "and once only"
    assert any(said in fault for f in verify(evidence) for fault in f.faults)


@pytest.mark.slow
def test_an_evaluation_that_fails_keeps_the_head_of_the_one_before(evidence, tmp_path):
    from overread.evaluation import EvaluationConfig

    head = runs.read(evidence)["notes"]["ledger"]
    pl.read_csv(tmp_path / "truth.csv").with_columns(edema=pl.lit(None, pl.Int64)).write_csv(tmp_path / "truth.csv")
    given = (tmp_path / "truth.csv", tmp_path / "truth.csv", [tmp_path / "acme.csv"])
    with pytest.raises(InputError):
        evaluate(*given, out=evidence, config=EvaluationConfig(replicates=100, subgroups=()))
    assert runs.read(evidence)["notes"]["ledger"] == head


@pytest.mark.slow
def test_the_command_prints_every_folder_and_exits_with_2_where_something_differs(made):
    command = [Path(sys.executable).parent / "overread", "verify", str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{made / 'one'}: 4 files, unchanged" in done.stdout
    (made / "one/table.csv").write_text("")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{made / 'one'}: 4 files, 1 differ\n  table.csv: changed" in done.stdout
    assert "differences in 1 folders" in " ".join(done.stderr.split())


@pytest.mark.slow
def test_the_seal_of_a_record_is_kept_when_its_folder_moves(made, tmp_path):
    shutil.move(made, tmp_path / "moved")
    assert named(tmp_path / "moved") == {}
    assert integrity.sealed(tmp_path / "moved/one/run.json")


@pytest.mark.slow
def test_verify_before_a_command_finds_what_kept_its_size_and_time(evidence, tmp_path):
    path = evidence / "notes.json"
    state = path.stat()
    path.write_bytes(path.read_bytes().replace(b"Truth", b"TRUTH"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    command = [Path(sys.executable).parent / "overread", "report", str(evidence), "-o", str(tmp_path / "page")]
    done = subprocess.run([*command, "--verify"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "notes.json: changed" in " ".join(done.stderr.split())
    assert not (tmp_path / "page").exists()
    report(evidence, tmp_path / "page", title="the fast comparison takes it as unchanged")
