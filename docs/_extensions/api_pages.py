"""Pages of the API reference, one for each public module, discovered in the source.

A module is public if it is a facade (a package of the first level, or one that its package exports, with names in its
`__init__.pyi` or `__all__`), a module that its package exports as such, or is named in a page of the site as
`overread.package.module` and not exported by a facade.

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
    """What the source of a module shows: its exports, whether it defines anything public, and the names it imports."""

    name: str
    is_package: bool
    exports: frozenset[str]
    defines: bool
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
    """Parse the module in a file below the folder `source`; a stub beside it states what it exports."""
    name = ".".join(p for p in path.relative_to(source).with_suffix("").parts if p != "__init__")
    tree = ast.parse(path.read_text())
    stub = path.with_suffix(".pyi")
    exports = _exports(tree)
    if stub.is_file():
        tree = ast.parse(stub.read_text())
        exports = {a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
    defined = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    froms = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    places = [".".join(filter(None, (name if n.level else "", n.module))) for n in froms]
    return Module(
        name=name,
        is_package=path.name == "__init__.py",
        exports=frozenset(exports),
        defines=any(not d.startswith("_") for d in defined),
        imported_names=frozenset(f"{place}.{a.name}" for n, place in zip(froms, places, strict=True) for a in n.names),
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
    exported = {name.rpartition(".")[0] for m in modules.values() if m.exports for name in m.imported_names}

    def public(module: Module) -> bool:
        if module.is_bare or any(part.startswith("_") for part in module.name.split(".")):
            return False
        parent = modules.get(module.package)
        if parent is None or (module.is_package and module.package == ROOT):
            return True
        if module.name.rpartition(".")[2] in parent.exports and module.name in parent.imported_names:
            return True
        return module.name in named and (module.is_package or module.name not in exported)

    return [module for _, module in sorted(modules.items()) if public(module)]


def page(module: Module, hidden: set[str]) -> str:
    """The text of a module's page; a facade shows what it exports, wherever that is defined, but for `hidden` names."""
    options = [":members:", *[":imported-members:"] * bool(module.exports)]
    options += [f":exclude-members: {', '.join(sorted(hidden))}"] * bool(hidden)
    lines = [f".. automodule:: {module.name}", *(f"   {option}" for option in options)]
    return "\n".join([f"# {module.name}", "", "```{eval-rst}", *lines, "```", ""])


def pages_of(modules: list[Module]) -> dict[str, str]:
    """The pages by module; what several facades export is on the page of the innermost, of equal ones the first."""
    by_name = {module.name: module for module in modules}

    def origin(name: str) -> str:
        """The full name under which an exported name is defined, through the facades that pass it on."""
        module, _, own = name.rpartition(".")
        given = by_name[module].imported_names if module in by_name else ()
        target = next((n for n in sorted(given) if n.rpartition(".")[2] == own and n != name), name)
        return target if target == name else origin(target)

    shown: set[str] = set()
    pages = {}
    for module in sorted(modules, key=lambda m: (-m.name.count("."), m.name)):
        origins = {name: origin(f"{module.name}.{name}") for name in module.exports}
        hidden = {name for name, place in origins.items() if place in shown or place in by_name}
        if module.defines or module.exports - hidden:
            pages[module.name] = page(module, hidden)
        shown |= set(origins.values())
    return dict(sorted(pages.items()))


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
