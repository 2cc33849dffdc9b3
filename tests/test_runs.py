import json

import pytest

from overread import runs
from overread.errors import InputError


def test_a_run_records_what_went_in_what_came_out_and_how_long(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("a")
    with runs.start(tmp_path / "run", "train", config={"epochs": 2}, inputs={"table": source}, seed=7) as run:
        (tmp_path / "run/out.txt").write_text("xyz")
        run.output(tmp_path / "run/out.txt")
        run.note("resumed", True)
    record = runs.read(tmp_path / "run")
    assert (record["status"], record["seed"], record["config"]) == ("complete", 7, {"epochs": 2})
    assert (
        record["inputs"]["table"] == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    )  # SHA-256 of "a"
    assert record["outputs"]["out.txt"]["bytes"] == 3
    assert record["notes"] == {"resumed": True}
    assert record["versions"]["polars"]
    assert record["machine"]["cores"] >= 1
    assert runs.complete(tmp_path / "run", runs.fingerprint({"epochs": 2}, {"table": source}))
    assert not runs.complete(tmp_path / "run", runs.fingerprint({"epochs": 3}, {"table": source}))


def test_a_changed_input_makes_a_run_incomplete_and_a_changed_output_is_refused_by_name(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("a")
    with runs.start(tmp_path / "run", "x", config={}, inputs={"table": source}) as run:
        (tmp_path / "run/out.txt").write_text("xyz")
        run.output(tmp_path / "run/out.txt")
    before = runs.fingerprint({}, {"table": source})
    assert runs.complete(tmp_path / "run", before)
    source.write_text("b")
    assert runs.fingerprint({}, {"table": source}) != before
    (tmp_path / "run/out.txt").write_text("xy")
    with pytest.raises(InputError, match=r"1 that differ \(out\.txt: changed\)"):
        runs.complete(tmp_path / "run", before)
    (tmp_path / "run/out.txt").unlink()
    with pytest.raises(InputError, match=r"1 that differ \(out\.txt: missing\)"):
        runs.complete(tmp_path / "run", before)


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed")])
def test_a_failure_is_recorded_and_goes_on_upwards(tmp_path, error, status):
    with pytest.raises(error), runs.start(tmp_path, "x", config={}):
        raise error("stop")
    assert json.loads((tmp_path / "run.json").read_text())["status"] == status
    assert not runs.complete(tmp_path, runs.fingerprint({}))


def test_a_folder_that_is_no_run_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"no run\.json in it"):
        runs.read(tmp_path)
