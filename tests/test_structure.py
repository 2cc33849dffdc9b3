"""The structure of the source tree: sizes, one name for one thing, no import cycles, explicit public names."""

from __future__ import annotations

import ast
import importlib
import io
import tokenize
from collections import defaultdict
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "overread"
TEXTS = {p: p.read_text(encoding="utf-8") for p in sorted(SOURCE.rglob("*.py"))}
MODULES = {p: ast.parse(text) for p, text in TEXTS.items()}
PACKAGES = sorted({p.parent for p in MODULES})
FACADES = [p for p in PACKAGES if (p / "__init__.pyi").exists()]
MOST_FILES, MOST_LINES, MOST_DEPTH = 14, 400, 4
# What several packages can do, each with its own kind of thing.
VERBS = ("build", "check", "evaluate", "load", "names", "read", "run", "write")
_NOT_CODE = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


def dotted(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def label(path: Path) -> str:
    return str(path.relative_to(SOURCE.parent))


def defined(tree: ast.Module) -> list[str]:
    return [x.name for x in tree.body if isinstance(x, ast.FunctionDef | ast.ClassDef)]


def code_lines(text: str) -> int:
    """Number of lines that hold code: docstrings, comments and blank lines are not counted."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NOT_CODE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and type(first.value.value) is str:
                lines -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return len(lines)


def test_docstrings_comments_and_blank_lines_are_not_counted():
    head = '"""A module.\n\nMore.\n"""\n\n# why\nx = (1,\n     2)  # also\n'
    text = f'{head}\n\ndef f():\n    """One."""\n    return """a\nb"""\n'
    assert code_lines(text) == 5  # two of the tuple, `def`, and two of the returned text
    assert code_lines("") == 0


@pytest.mark.parametrize("package", PACKAGES, ids=label)
def test_a_package_has_few_files(package: Path):
    files = [p.name for p in package.glob("*.py") if p.name != "__init__.py"]
    if package.name == "datasets":  # a file for each public source
        sources = importlib.import_module("overread.datasets").names()
        files = [f for f in files if f.removesuffix(".py") not in sources]
    assert len(files) <= MOST_FILES
    assert len(package.relative_to(SOURCE).parts) < MOST_DEPTH


def test_no_module_has_more_lines_of_code_than_the_limit():
    lengths = {label(p): code_lines(text) for p, text in TEXTS.items()}
    assert {p: n for p, n in lengths.items() if n > MOST_LINES} == {}


def test_modules_and_packages_have_names_of_their_own():
    places = defaultdict(list)
    for path in MODULES:
        places[path.parent.name if path.name == "__init__.py" else path.stem].append(label(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_classes_have_names_of_their_own():
    places = defaultdict(list)
    for path, tree in MODULES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(label(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_function_or_class_has_the_name_of_its_module_or_package():
    shadowed = []
    for path, tree in MODULES.items():
        around = {path.stem, path.parent.name}
        shadowed += [f"{label(path)}: {name}" for name in defined(tree) if name in around]
    assert shadowed == []


@pytest.mark.parametrize("package", FACADES, ids=label)
def test_a_facade_lists_what_is_public_and_offers_nothing_else(package: Path):
    module = importlib.import_module(dotted(package / "__init__.py"))
    names = module.__all__
    assert sorted(dir(module)) == sorted(names)
    inside = {p.stem for p in package.glob("*.py")} | {p.name for p in package.iterdir() if p.is_dir()}
    for name in names:  # a name that is a function and a module would change its meaning with the order of imports
        is_module = type(getattr(module, name)).__name__ == "module"
        assert is_module == (name in inside), f"{package.name}.{name} is a module and something else"


@pytest.mark.parametrize("package", [p for p in PACKAGES if p not in FACADES], ids=label)
def test_a_package_without_a_facade_defines_and_imports_nothing(package: Path):
    body = MODULES[package / "__init__.py"].body
    assert [type(node).__name__ for node in body] in ([], ["Expr"])  # the docstring


def test_only_facades_list_public_names():
    lists = []
    for path, tree in MODULES.items():
        targets = [t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets]
        if path.name != "__init__.py" and any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            lists.append(label(path))
    assert lists == []


def test_a_public_name_means_one_thing():
    meanings: dict[str, dict[int, str]] = defaultdict(dict)
    for package in FACADES:
        module = importlib.import_module(dotted(package / "__init__.py"))
        for name in module.__all__:
            if name[0].islower() and name not in VERBS:
                meanings[name][id(getattr(module, name))] = dotted(package / "__init__.py")
    assert {name: sorted(found.values()) for name, found in meanings.items() if len(found) > 1} == {}


def test_modules_import_each_other_in_no_cycle():
    imports = {dotted(path): _imported(tree) for path, tree in MODULES.items() if path.name != "__init__.py"}
    graph = {name: sorted(found & set(imports)) for name, found in imports.items()}
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in done:
            return
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        for other in graph[name]:
            visit(other, [*path, name])
        done.add(name)

    for name in graph:
        visit(name, [])


def _imported(tree: ast.Module) -> set[str]:
    """The modules that a module imports when it is loaded itself."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
    return found
