"""Every test asserts a behaviour: none only shows that something ran."""

import ast
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

TESTS = Path(__file__).resolve().parent
EXPECTED_ERRORS = {"pytest.raises", "pytest.warns", "pytest.fail"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _called(nodes):
    """The names of the functions that are called, with the module where it is written."""
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    return {ast.unparse(call) for call in calls if isinstance(call, ast.Name | ast.Attribute)}


def _asserts(nodes, called):
    return (
        any(isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant) for node in nodes)
        or any(name.rpartition(".")[2].startswith("assert_") for name in called)
        or bool(called & EXPECTED_ERRORS)
    )


def _functions(source):
    """The functions of a module: name, the names that it calls, whether it asserts by itself."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, FUNCTIONS):
            nodes = list(ast.walk(function))
            called = _called(nodes)
            yield function.name, called, _asserts(nodes, called)


def _without_assertion(source, helpers=frozenset()):
    """The tests of a module that assert nothing, neither themselves nor through a function that they call.

    `helpers` are the functions of other modules that assert.
    """
    functions = list(_functions(source))
    asserting = helpers | {name for name, _, asserts in functions if asserts}
    while found := {name for name, called, _ in functions if name not in asserting and called & asserting}:
        asserting |= found
    return [name for name, _, _ in functions if name.startswith("test_") and name not in asserting]


def _shared_helpers():
    """The asserting functions that several modules of tests use."""
    modules = [path for path in TESTS.rglob("*.py") if not path.name.startswith("test_")]
    return frozenset(name for path in modules for name, _, asserts in _functions(path.read_text("utf-8")) if asserts)


@pytest.mark.slow
def test_every_test_asserts_a_behaviour():
    helpers = _shared_helpers()
    found = {
        str(path.relative_to(TESTS)): names
        for path in sorted(TESTS.rglob("test_*.py"))
        if (names := _without_assertion(path.read_text("utf-8"), helpers))
    }
    assert found == {}


@pytest.mark.parametrize(
    "body",
    [
        "assert f() == 1",
        "with pytest.raises(ValueError): f()",
        "np.testing.assert_allclose(f(), 1)",
        "check(f())",
        "twice(f())",
    ],
)
def test_an_assertion_is_found_directly_and_through_a_helper(body):
    source = f"def check(x): assert x\ndef twice(x): check(x)\ndef test_one():\n    {body}\n"
    assert _without_assertion(source) == []


@pytest.mark.parametrize("body", ["f()", "assert True", "x = f() == 1", "x.check_nothing()", "raises = f()"])
def test_a_test_that_only_runs_something_is_found(body):
    assert _without_assertion(f"def f(): return 1\ndef test_one():\n    {body}\n") == ["test_one"]


@pytest.fixture
def unmarked_and_slow(pytestconfig):
    """The function of tests/conftest.py."""
    plugins = pytestconfig.pluginmanager.get_plugins()
    (module,) = (p for p in plugins if getattr(p, "__file__", None) == str(TESTS / "conftest.py"))
    return module.unmarked_and_slow


def test_an_unmarked_test_that_takes_long_is_named_with_the_time_of_its_fixtures(unmarked_and_slow):
    def report(name, when, duration, *marks):
        return SimpleNamespace(nodeid=name, when=when, duration=duration, keywords=dict.fromkeys(marks, 1))

    reports = [
        report("long", "call", 2.5), report("fixture", "setup", 3.0), report("fixture", "call", 0.5),
        report("short", "call", 1.5), report("marked", "call", 9.0, "slow"), report("ended", "teardown", 9.0),
        SimpleNamespace(nodeid="deselected"),
    ]  # fmt: skip
    assert unmarked_and_slow(reports) == [("fixture", 3.5), ("long", 2.5)]


@pytest.fixture(scope="module")
def fast_tests():
    """The test files that hold a test without the mark slow, by collection."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not slow", str(TESTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=TESTS.parent)
    return {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}


@pytest.mark.slow
def test_the_fast_tests_reach_every_package(fast_tests):
    def packages(names):
        return {Path(name).parts[1] for name in names if len(Path(name).parts) > 2}

    assert packages(fast_tests) == packages(path.relative_to(TESTS.parent) for path in TESTS.rglob("test_*.py"))
