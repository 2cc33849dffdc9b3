"""The notebooks: stored without outputs, and executed from the first to the last cell in an empty folder."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def execute(path, folder, change=lambda source: source):
    """The text that a notebook prints and the pictures that it shows; `change` may alter the code of its cells."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = change(cell.source)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in outputs)
    return text, sum("image/png" in o.get("data", {}) for o in outputs)


@pytest.mark.slow
def test_evaluating_predictions_ends_in_a_report(tmp_path):
    text, pictures = execute(NOTEBOOKS[0], tmp_path)
    assert "true AUC 0.940" in text
    assert pictures == 1
    assert "<svg" in (tmp_path / "evidence/report/report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_reader_study_ends_in_a_sentence(tmp_path):
    text, pictures = execute(NOTEBOOKS[1], tmp_path)
    assert "The mean AUC of the 10 readers was" in text
    assert "non-inferior: True" in text
    assert pictures == 1


@pytest.mark.slow
def test_the_order_of_reads_does_not_change_a_reader_study(tmp_path):
    shuffle = "answers = answers.sample(fraction=1, shuffle=True, seed=1)\n"

    def shuffled(source):
        return shuffle + source if source.startswith("names = ") else source

    plain, other = (execute(NOTEBOOKS[1], tmp_path, change)[0] for change in (lambda source: source, shuffled))
    sentence = re.compile(r"The mean AUC of the 10 readers was.*")
    assert sentence.search(other)[0] == sentence.search(plain)[0]


@pytest.mark.slow
def test_training_ends_in_heat_maps(tmp_path):
    text, pictures = execute(NOTEBOOKS[2], tmp_path)
    lower = float(re.search(r"AUC 0.\d+ \(95% CI (0.\d+) to", text)[1])
    assert lower > 0.5
    assert pictures == 1
    assert len(list((tmp_path / "predictions/overlays").glob("*.png"))) >= 1
