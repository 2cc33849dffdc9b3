"""What `import overread` gives: the public names, nothing loaded before it is used, types for those who check them."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

import overread as ov
from overread.cli import app

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "overread"
STUBS = sorted(PACKAGE.rglob("__init__.pyi"))


def _stated(stub):
    return {alias.asname for node in ast.parse(stub.read_text()).body for alias in node.names}


PUBLIC = {name: getattr(ov, name) for name in sorted(ov.__all__)}
FUNCTIONS = sorted(name for name, value in PUBLIC.items() if inspect.isfunction(value))
CLASSES = sorted(name for name, value in PUBLIC.items() if inspect.isclass(value))


def _documented(entries):
    """The documented parameters in their order; each has a type and a description."""
    assert all(entry.type and entry.desc for entry in entries if not entry.name.startswith("**"))
    return [re.sub(r"^\*+", "", name.strip()) for entry in entries for name in entry.name.split(",")]


def _parameters(function):
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_documents_its_parameters_result_and_errors(name):
    documentation = FunctionDoc(PUBLIC[name])
    assert len(documentation["Summary"]) == 1
    assert _documented(documentation["Parameters"]) == _parameters(PUBLIC[name])
    assert documentation["Returns"]
    assert documentation["Raises"]


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_class_documents_its_parameters(name):
    documentation = ClassDoc(PUBLIC[name], config={"show_class_members": False})
    assert len(documentation["Summary"]) == 1
    assert _documented(documentation["Parameters"] or documentation["Attributes"]) == _parameters(PUBLIC[name])


def test_importing_the_package_loads_no_library_that_takes_time():
    code = (
        "import sys, overread\n"
        "print([m for m in ('numba', 'torch', 'polars', 'matplotlib', 'scipy', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("stub", STUBS, ids=lambda p: p.parent.relative_to(PACKAGE.parent).as_posix())
def test_a_facade_shows_what_its_stub_states(stub):
    package = importlib.import_module(".".join(stub.parent.relative_to(PACKAGE.parent).parts))
    assert set(dir(package)) == set(package.__all__) == _stated(stub)


@pytest.mark.slow
@pytest.mark.parametrize("stub", STUBS, ids=lambda p: p.parent.relative_to(PACKAGE.parent).as_posix())
def test_each_name_of_a_facade_can_be_loaded(stub):
    package = importlib.import_module(".".join(stub.parent.relative_to(PACKAGE.parent).parts))
    assert all(getattr(package, name) is not None for name in _stated(stub))


@pytest.mark.slow
def test_every_command_has_a_function_of_its_name():
    commands = {command.callback.__name__ for command in app.registered_commands}
    functions = {name for name in commands if inspect.isfunction(getattr(ov, name))}
    assert commands - functions == {"cohort"}  # the package has the name: load(...).build(...) is the function
    assert {getattr(ov, name).__name__ for name in functions} == functions


def test_the_version_is_that_of_the_installed_package():
    assert ov.__version__ == version("overread")


@pytest.mark.slow
def test_the_wheel_is_typed(tmp_path):
    pytest.importorskip("mypy")
    pytest.importorskip("hatchling")
    code = f"from hatchling.build import build_wheel; build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert {"overread/py.typed", "overread/__init__.pyi", "overread/stats/__init__.pyi"} <= set(archive.namelist())
        archive.extractall(tmp_path / "site")
    script = tmp_path / "script.py"
    script.write_text(
        "import overread as ov\n"
        "result: ov.Estimate = ov.stats.auc([1, 0], [0.9, 0.1])\n"
        "value: float = result.value\n"
        "ov.evaluate('truth.csv', 'truth.csv', ['acme.csv']).report('evidence')\n"
        "wrong: str = ov.stats.auc([1, 0], [0.9, 0.1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--ignore-missing-imports", "--follow-imports=silent", script],
        cwd=tmp_path,
        env={"PATH": "", "MYPYPATH": str(tmp_path / "site"), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line] == ["5"], done.stdout
