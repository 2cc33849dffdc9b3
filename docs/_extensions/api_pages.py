"""Pages of the API reference, one for each public module, discovered in the source.

A module is public if it is

- a facade: a package whose `__init__` has `__all__`, or defines public functions or classes;
- a module that its package exports as such;
- in a package whose `__init__` has neither, a module with `__all__`, or one that no module of its package imports;
- named in a page of the site as `overread.package.module`, unless a facade exports what is in it.

The source is parsed, not imported, so that renaming a package needs no change here. autodoc imports what it documents,
with torch and what belongs to it mocked.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from docstring_text import restructured
from sphinx.application import Sphinx

FOLDER = "reference/api"
ROOT = "overread"
_NAMED = re.compile(rf"\b{ROOT}(?:\.[a-z_]+)+")


@dataclass(frozen=True)
class Module:
    """What the source of a module shows: its exports, whether it defines anything public, and what it imports.

    `imports` are the modules that it imports from, `imported_names` what it imports, both with their full names.
    """

    name: str
    is_package: bool
    exports: frozenset[str]
    defines: bool
    imports: frozenset[str]
    imported_names: frozenset[str]

    @property
    def package(self) -> str:
        """The package that contains the module."""
        return self.name.rpartition(".")[0]

    @property
    def is_bare(self) -> bool:
        """Whether nothing can be used from the module itself."""
        return not self.exports and not self.defines


def parsed(path: Path, source: Path) -> Module:
    """Parse the module in a file below the folder `source`."""
    parts = path.relative_to(source).with_suffix("").parts
    tree = ast.parse(path.read_text())
    defined = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    froms = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
    names = frozenset(f"{n.module}.{a.name}" for n in froms for a in n.names)
    return Module(
        name=".".join(p for p in parts if p != "__init__"),
        is_package=path.name == "__init__.py",
        exports=frozenset(_exports(tree)),
        defines=any(not d.startswith("_") for d in defined),
        imports=names | {n.module for n in froms if n.module},
        imported_names=names,
    )


def _exports(tree: ast.Module) -> set[str]:
    """The names that are written out in `__all__`."""
    found: set[str] = set()
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            found |= {c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str)}
    return found


def public_modules(source: Path, pages: list[Path]) -> list[Module]:
    """The modules that have a page, by name; `pages` are those in which modules may be named."""
    modules = {m.name: m for m in (parsed(p, source) for p in sorted((source / ROOT).rglob("*.py")))}
    named = {n for p in pages for n in _NAMED.findall(p.read_text())}
    named |= {n.rpartition(".")[0] for n in named}  # overread.package.module.function
    internal = {
        name for name, m in modules.items()
        if any(name in other.imports and other.package == m.package for other in modules.values())
    }  # fmt: skip
    exported = {name for m in modules.values() if m.exports for name in m.imports}

    def public(module: Module) -> bool:
        if module.is_bare or any(part.startswith("_") for part in module.name.split(".")):
            return False
        if module.is_package:
            return True
        facade = modules[module.package]
        if module.name.rpartition(".")[2] in facade.exports and module.name in facade.imported_names:
            return True
        if module.name in named and module.name not in exported:
            return True
        return module.package != ROOT and facade.is_bare and (bool(module.exports) or module.name not in internal)

    return [module for name, module in sorted(modules.items()) if public(module)]


def page(module: Module, hidden: set[str]) -> str:
    """The text of a module's page; a facade shows what it exports, wherever that is defined, but for `hidden` names."""
    options = [":members:", *[":imported-members:"] * bool(module.exports)]
    options += [f":exclude-members: {', '.join(sorted(hidden))}"] * bool(hidden)
    lines = [f".. automodule:: {module.name}", *(f"   {option}" for option in options)]
    return "\n".join([f"# {module.name}", "", "```{eval-rst}", *lines, "```", ""])


def pages_of(modules: list[Module]) -> dict[str, str]:
    """The pages by module; what several modules of a package export is on the page of the first."""
    shown: set[str] = set()
    pages = {}
    for module in modules:
        exported = {f"{module.package}.{name}" for name in module.exports}
        pages[module.name] = page(module, {name.rpartition(".")[2] for name in exported & shown})
        shown |= exported
    return pages


def _write(app: Sphinx) -> None:
    docs = Path(app.srcdir)
    folder = docs / FOLDER
    pages = [p for p in docs.rglob("*.md") if folder not in p.parents]
    wanted = {f"{name}.md": text for name, text in pages_of(public_modules(docs.parent / "src", pages)).items()}
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        if not (folder / name).is_file() or (folder / name).read_text() != text:
            (folder / name).write_text(text)


def _restructure(app: Sphinx, kind: str, name: str, item: object, options: object, lines: list[str]) -> None:
    lines[:] = restructured(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", _write, priority=100)
    app.connect("autodoc-process-docstring", _restructure, priority=100)  # before Napoleon
    return {"parallel_read_safe": True}
