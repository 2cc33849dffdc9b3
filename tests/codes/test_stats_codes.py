"""Results of overread.stats carry codes: no text is written where a result is made, and no text is dead or misused."""

import ast
import string
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

import overread

SOURCE = Path(overread.__file__).parent
STATS = sorted((SOURCE / "stats").rglob("*.py"))
TEXTS = ("codes.Text", "Text")
KINDS = {"method": "methods", "note": "notes"}


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"), str(file))


def text_fields() -> dict[str, dict[int, str]]:
    """Of each result with a method or a note: the position of the fields that are texts."""
    found = {}
    for file in STATS:
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.ClassDef):
                fields = [f for f in node.body if isinstance(f, ast.AnnAssign) and isinstance(f.target, ast.Name)]
                texts = {i: f.target.id for i, f in enumerate(fields) if ast.unparse(f.annotation) in TEXTS}
                if texts:
                    found[node.name] = texts
    return found


def written(node: ast.expr) -> bool:
    """Whether an expression writes text: a literal or an f-string, other than as the argument of a call."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and written(node.func.value)
    if isinstance(node, ast.Compare):
        return False
    if isinstance(node, ast.IfExp):
        return written(node.body) or written(node.orelse)
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return True
    return any(written(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))


def coded_calls(files: list[Path]) -> Iterator[tuple[str, str, ast.Call]]:
    """Where (file and line), "method" or "note", and the call of codes.method or codes.note."""
    for file in files:
        for node in ast.walk(tree_of(file)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in KINDS
                and ast.unparse(node.func.value) == "codes"
            ):
                yield f"{file.relative_to(SOURCE)}:{node.lineno}", node.func.attr, node


def texts(kind: str) -> dict[str, str]:
    found = {}
    for file in resources.files("overread.codes").joinpath("text").iterdir():
        if file.name.startswith(kind) and file.name.endswith(".toml"):
            found |= {name: entry["text"] for name, entry in tomllib.loads(file.read_text("utf-8")).items()}
    return found


def placeholders(text: str) -> set[str]:
    found = set()
    for _, name, form, _ in string.Formatter().parse(text):
        if name is not None:
            found |= {name} | placeholders(form or "")
    return found


@pytest.mark.slow
def test_every_method_and_note_of_a_result_is_typed_as_a_text():
    words = {("Recalibration", "method")}  # which function is fitted: an argument, given back
    wrong = [
        (node.name, f.target.id)
        for file in STATS
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.ClassDef)
        for f in node.body
        if isinstance(f, ast.AnnAssign) and isinstance(f.target, ast.Name) and f.target.id in KINDS
        if ast.unparse(f.annotation) not in TEXTS
    ]
    assert set(wrong) == words


@pytest.mark.slow
def test_no_result_is_made_with_a_literal_or_an_f_string_as_method_or_note():
    fields = text_fields()
    assert {"Estimate", "AttainedStep", "ReaderStudy", "Recalibration", "MixedModel", "Moments"} <= set(fields)
    wrong = []
    for file in STATS:
        for node in ast.walk(tree_of(file)):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name in fields or name == "replace":
                given = [value for i, value in enumerate(node.args) if i in fields.get(name, {})]
                names = set(fields[name].values()) if name in fields else set(KINDS)
                given += [k.value for k in node.keywords if k.arg in names]
                wrong += [f"{file.name}:{v.lineno}: {ast.unparse(v)}" for v in given if written(v)]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_code_is_named_by_a_literal_and_given_the_placeholders_of_its_text(kind):
    known = texts(KINDS[kind])
    for where, own, call in coded_calls(STATS):
        if own == kind:
            name = call.args[0]
            assert isinstance(name, ast.Constant), where
            assert name.value in known, where
            assert {k.arg for k in call.keywords} == placeholders(known[name.value]), where


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_text_of_the_file_is_used(kind):
    file = resources.files("overread.codes").joinpath("text", f"{KINDS[kind]}.toml")
    used = {
        call.args[0].value
        for _, own, call in coded_calls(sorted(SOURCE.rglob("*.py")))
        if own == kind and isinstance(call.args[0], ast.Constant)
    }
    assert set(tomllib.loads(file.read_text("utf-8"))) - used == set()
