"""Functions of Python and commands: the same parameters, paths as text, no process unless one is asked for."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import overread as ov
from overread.cli import application
from overread.errors import InputError
from overread.protocol import Expected, PredictionConfig
from overread.tables.records.configuration import field_values, with_settings

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/python.md"
COMMANDS = {command.__name__: command for command in application.COMMANDS}
FUNCTIONS = {name: getattr(ov, name) for name in COMMANDS}
FUNCTIONS["cohort"] = ov.protocol.CohortSource.build
CONFIGURATION = {
    "check": ov.EvaluationConfig,
    "cohort": ov.CohortConfig,
    "deidentify": ov.Deidentification,
    "splits": ov.CohortConfig,
    "sample": ov.SampleConfig,
    "train": ov.TrainingConfig,
    "predict": PredictionConfig,
    "evaluate": ov.EvaluationConfig,
    "plan": Expected,
}


def stated_differences():
    """Options without a parameter of their name, from the table of the page: command -> options."""
    rows = re.findall(r"^\| `overread ([a-z]+)` +\| (`--[^|]*) \|", PAGE.read_text(), re.MULTILINE)
    rows += [
        (c, every) for every in re.findall(r"^\| every +\| (`--[^|]*) \|", PAGE.read_text(), re.M) for c in FUNCTIONS
    ]
    found = {}
    for command, options in rows:
        found.setdefault(command, set()).update(re.findall(r"--([a-z-]+)", options))
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_what_its_command_takes_or_the_page_states_the_difference(name):
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    differences = stated_differences().get(name, set())
    kind = CONFIGURATION.get(name)
    assert (kind is not None) == any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for option in inspect.signature(COMMANDS[name]).parameters:
        if option in parameters or option.replace("_", "-") in differences or option == "changes":
            continue
        assert kind is not None, option
        [key] = field_values(kind, {option: None}, name)
        assert key.partition(".")[0] in kind.__dataclass_fields__, option


@pytest.mark.parametrize(
    ("config", "settings", "field", "value"),
    [
        (ov.EvaluationConfig(), {"finding": "edema"}, "findings", ("edema",)),
        (ov.EvaluationConfig(), {"subgroup": ["sex"]}, "subgroups", ("sex",)),
        (ov.EvaluationConfig(), {"external": "north"}, "external_sites", ("north",)),
        (ov.EvaluationConfig(), {"replicates": np.int64(300)}, "replicates", 300),
        (ov.CohortConfig(), {"size": 96}, "recipe", ov.Recipe(size=96)),
        (ov.CohortConfig(recipe=ov.Recipe(size=64)), {"recipe": ov.Recipe(size=96)}, "recipe", ov.Recipe(size=96)),
        (ov.SampleConfig(), {"size": 5}, "n", 5),
        (PredictionConfig(), {"max_unreadable": 0.1}, "max_unreadable", 0.1),
        (PredictionConfig(), {"site": "a"}, "sites", ("a",)),
        (ov.TrainingConfig(), {"epochs": 1}, "epochs", 1),
        (Expected(), {"auc": 0.9}, "auc", 0.9),
    ],
)
def test_settings_are_accepted_by_the_name_of_field_and_option(config, settings, field, value):
    made = with_settings(config, settings, "f")
    assert getattr(made, field) == value
    assert with_settings(made, {}, "f") is made


def test_a_setting_by_two_names_is_refused():
    with pytest.raises(InputError, match="findings: a value given once; found it is also given as"):
        with_settings(ov.EvaluationConfig(), {"findings": ("edema",), "finding": "mass"}, "evaluate")
    with pytest.raises(InputError, match="rng or seed; found both"):
        ov.evaluate("i.csv", "l.csv", "p.csv", rng=1, seed=2)
    with pytest.raises(InputError, match=r"unknown key 'aucc'\. Did you mean 'auc'"):
        ov.plan(aucc=0.9)


def test_a_plan_needs_no_assumptions_and_takes_them_by_keyword():
    assert ov.plan().table.equals(ov.plan(Expected()).table)
    assert ov.plan(auc=0.9).table.equals(ov.plan(Expected(auc=0.9)).table)
    assert ov.plan(Expected(prevalence=0.2), auc=0.9).sentences == ov.plan(Expected(auc=0.9, prevalence=0.2)).sentences


def test_by_default_every_function_works_in_the_calling_process():
    functions = [*FUNCTIONS.values(), ov.protocol.EvaluationResult.report]
    defaults = {f.__qualname__: inspect.signature(f).parameters.get("workers") for f in functions}
    assert {p.default for p in defaults.values() if p is not None} <= {0, 1}  # 1 = the calling process draws figures
    assert {"demo", "run", "deidentify", "evaluate", "report"} <= {n for n, p in defaults.items() if p is not None}
    assert PredictionConfig().workers == 0


SCRIPT = """
import sys
from overread.images.store.executors import in_order
def work(n):
    return n * n
if "guarded" in sys.argv:
    if __name__ == "__main__":
        print(list(in_order(work, [(1,), (2,)], 2)))
else:
    print(list(in_order(work, [(1,), (2,)], 2)))
"""


def test_workers_in_a_script_without_a_guard_are_told_of_it(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = [
        subprocess.run(
            [sys.executable, tmp_path / "script.py", *words], capture_output=True, text=True, check=False, timeout=120
        )
        for words in (["guarded"], [])
    ]
    assert done[0].stdout == "[1, 4]\n"
    assert done[1].returncode != 0
    assert 'under `if __name__ == "__main__":`, or with workers=0' in done[1].stderr


def test_a_table_may_be_a_path_or_text(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("case_id,finding,source,state\n1,edema,a,present\n")
    assert ov.check(str(file)) == ov.check(file)
    toml = tmp_path / "c.toml"
    toml.write_text("[evaluation]\nreplicates = 300\n")
    assert ov.check(str(toml)) == ov.check(toml)


@pytest.mark.parametrize("convert", [str, Path, lambda p: Pure(p)], ids=["str", "Path", "PathLike"])
@pytest.mark.parametrize("name", [*sorted({*FUNCTIONS} - {"cohort", "demo", "plan"}), "load"])
def test_every_function_takes_paths_in_any_form(name, convert, tmp_path):
    (tmp_path / "here").mkdir()
    nowhere, out = convert(tmp_path / "here" / "nothing"), convert(tmp_path / "out")
    calls = {
        "run": lambda: ov.run(nowhere, out, data=nowhere),
        "check": lambda: ov.check(nowhere),
        "deidentify": lambda: ov.deidentify(nowhere, out, nowhere, mapping=nowhere),
        "load": lambda: ov.load("nih14", nowhere, cache=nowhere),
        "splits": lambda: ov.splits(nowhere, out),
        "sample": lambda: ov.sample(nowhere, out),
        "train": lambda: ov.train(nowhere, out),
        "predict": lambda: ov.predict(nowhere, nowhere, out=out),
        "evaluate": lambda: ov.evaluate(nowhere, nowhere, nowhere, out=out, reads=nowhere, tune=nowhere),
        "report": lambda: ov.report(
            nowhere, out, cohort=nowhere, heatmaps={"m": nowhere}, models=nowhere, statements=nowhere
        ),
        "verify": lambda: ov.verify(nowhere),
    }
    with pytest.raises(InputError, match="nothing"):
        calls[name]()


class Pure:
    """A path that is neither text nor a Path."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, "expected predictions of a model, or reads; found neither"),
        (np.zeros((2, 2)), "found a value of type ndarray"),
        ([None], "found None"),
        ({"a": pl.Series([1])}, "predictions 'a': expected a path, a Polars frame or a pandas frame"),
        (pl.Series([1]), "found a value of type Series"),
        (b"x", "found a value of type bytes"),
        (3, "found a value of type int"),
    ],
)
def test_what_is_no_table_is_refused(given, found):
    images = pl.DataFrame({"image_id": ["1"], "patient_id": ["1"], "edema": [1]})
    with pytest.raises(InputError, match=re.escape(found)):
        ov.evaluate(images, images, given)


def test_an_argument_of_one_table_takes_one(tmp_path):
    files = [tmp_path / f"{i}.csv" for i in range(2)]
    with pytest.raises(InputError, match="sittings: expected one table; found 2"):
        ov.evaluate(reads=files[0], sittings=files)


def test_the_page_names_every_public_name():
    table = PAGE.read_text().partition("## The public names")[2]
    public = {name for name in dir(ov) if not name.startswith("_")}
    assert {name for name in re.findall(r"`([A-Za-z_]+)`", table) if hasattr(ov, name)} == public


def test_a_missing_subgroup_column_is_told_with_the_columns_of_the_file():
    ids = [str(i) for i in range(20)]
    table = pl.DataFrame({"image_id": ids, "patient_id": ids, "edema": [0, 1] * 10, "ward": ["a", "b"] * 10})
    scores = table.select("image_id", pl.col("edema") * 0.5)
    with pytest.raises(InputError) as refused:
        ov.evaluate(table, table, {"m": scores}, subgroup="sexx")
    assert str(refused.value) == "images: expected the subgroup column 'sexx'; found columns edema, ward."
    with pytest.raises(InputError, match="Did you mean 'ward'"):
        ov.evaluate(table, table, {"m": scores}, subgroup="wrd")


def test_an_image_file_that_is_not_there_is_told(tmp_path):
    from overread.protocol.image_files import list_images

    with pytest.raises(InputError, match="expected a file or folder; found none there"):
        list_images([tmp_path / "none.png"])
