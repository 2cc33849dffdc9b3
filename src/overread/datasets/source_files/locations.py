"""Search for the image files of a table: by path, otherwise by file name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import polars as pl

from overread.errors import InputError, did_you_mean
from overread.images import file_tree

# Extensions that a name may have or lack; the format is detected from the content.
_ENDINGS = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".ima", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2")
_FIELD = re.compile(r"\{([^{}:]+)(?::([^{}]+))?\}")


@dataclass(frozen=True, slots=True)
class Located:
    """Paths of the image files of a table.

    Parameters
    ----------
    paths : Series
        Path of each row, relative to the root.
    present : Series
        Whether the file exists.
    notes : tuple of str
        Notes for the flow.
    """

    paths: pl.Series
    present: pl.Series
    notes: tuple[str, ...]


def listing(root: Path, pattern: str) -> pl.DataFrame:
    """List the image files below a folder whose relative path matches a pattern.

    Parameters
    ----------
    root : Path
        Folder to search.
    pattern : str
        Pattern of relative paths, such as "train/*/*.jpeg".

    Returns
    -------
    DataFrame
        Columns path, file, stem and folder: the table of a set that is published without one.

    Raises
    ------
    InputError
        No file matches the pattern.
    """
    paths = [p.relative_to(root).as_posix() for p in file_tree.files(root, suffixes=_ENDINGS, closed="skip")]
    found = [p for p in paths if fnmatchcase(p, pattern)]
    if not found:
        do = f"Images below this folder are {', '.join(paths[:3])}." if paths else "Give the folder that holds them."
        raise InputError(root, f"image files of the pattern '{pattern}'", f"none of {len(paths):,}", do=do)
    rows = [(p, PurePosixPath(p).name, PurePosixPath(p).stem, PurePosixPath(p).parent.name) for p in found]
    return pl.DataFrame(rows, schema=dict.fromkeys(("path", "file", "stem", "folder"), pl.String), orient="row")


def fields(template: str) -> list[str]:
    """Columns that a template names in braces.

    Examples
    --------
    >>> fields("png/{image_id}.png"), fields("{stem:^person[0-9]+}"), fields("file")
    (['image_id'], ['stem'], [])
    """
    return [name for name, _ in _FIELD.findall(template)]


def filled(template: str, columns: Mapping[str, str]) -> pl.Expr:
    """Fill a template with the values of each row; null where one of the values is null.

    {name:pattern} is the part of the value that matches the regular expression; null without a match.

    Examples
    --------
    >>> frame = pl.DataFrame({"id": ["p1_2", None]})
    >>> frame.select(filled("png/{id}.png", {"id": "id"})).to_series().to_list()
    ['png/p1_2.png', None]
    >>> frame.select(filled("{id:^p[0-9]+}", {"id": "id"})).to_series().to_list()
    ['p1', None]
    """
    values, end = [], 0
    for match in _FIELD.finditer(template):
        if text := template[end : match.start()]:
            values.append(pl.lit(text))
        value = pl.col(columns[match[1]])
        values.append(value.str.extract(f"({match[2]})", 1) if match[2] else value)
        end = match.end()
    return pl.concat_str([*values, pl.lit(template[end:])])


def check_fields(templates: Mapping[str, str], known: Iterable[str], where: object) -> list[InputError]:
    """Errors for columns in templates that the table lacks and for invalid regular expressions."""
    names = list(known)
    return [
        InputError(
            f"{where}, {name}", f"columns of the table in '{template}'", f"'{{{field}}}'", do=did_you_mean(field, names)
        )
        for name, template in templates.items()
        for field in fields(template)
        if field not in names
    ] + [
        InputError(f"{where}, {name}", "a regular expression", f"'{pattern}'")
        for name, template in templates.items()
        for _, pattern in _FIELD.findall(template)
        if pattern and not _is_pattern(pattern)
    ]


def _is_pattern(pattern: str) -> bool:
    try:
        pl.Series([""]).str.extract(f"({pattern})")
    except pl.exceptions.ComputeError:
        return False
    return True


def located(paths: pl.Series, root: Path, where: object) -> Located:
    """Find the file of every path below a folder in one traversal of the tree.

    Parameters
    ----------
    paths : Series
        Paths as the table gives them.
    root : Path
        Folder of the source.
    where : object
        Place of the table, used in messages.

    Returns
    -------
    Located
        Paths of the files, whether each exists, and notes.

    Raises
    ------
    InputError
        Several files match and none has the given path, or two rows would share one file.

    Notes
    -----
    A path that exists is not changed. Otherwise the file is searched by its name without extension: in or below the
    folder of the path, or anywhere below `root` if the path has no folder or is an absolute path of another computer.
    A file that another row names is not used. Notes count the files found in this way.
    """
    files = [p.relative_to(root).as_posix() for p in file_tree.files(root, closed="skip")]
    exists = paths.is_in(pl.Series(files, dtype=pl.String).implode()).fill_null(False)
    missing_paths = paths.filter(~exists & paths.is_not_null()).unique(maintain_order=True).to_list()
    if not missing_paths:
        return Located(paths, exists, ())
    used_files = set(paths.filter(exists))
    index: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        if file not in used_files and (ending := _ending(file)) is not None:
            index[PurePosixPath(file).name.removesuffix(ending)].append(file)
    found: dict[str, str] = {}
    ambiguous: list[str] = []
    for path in missing_paths:
        candidates = _best(path, index, root)
        if len(candidates) == 1:
            found[path] = candidates[0]
        elif candidates:
            ambiguous.append(f"{path}: {', '.join(candidates[:3])}")
    _refuse_unclear(ambiguous, found, where)
    file_paths = paths.replace_strict(list(found), list(found.values()), default=paths, return_dtype=pl.String)
    changed_paths = {path: file for path, file in found.items() if path != file}
    note = f"{paths.is_in(list(changed_paths)).sum():,} files were found by their name without folder or extension"
    examples = ", ".join(f"'{path}' is {file}" for path, file in list(changed_paths.items())[:3])
    return Located(
        file_paths,
        (exists | paths.is_in(list(found))).fill_null(False),
        (f"{note} ({examples})",) if changed_paths else (),
    )


def _ending(file: str) -> str | None:
    """Extension of an image file as written ("" = none); None for a file of another kind."""
    name = PurePosixPath(file).name
    suffix = PurePosixPath(name).suffix
    if suffix.lower() in _ENDINGS:
        return suffix
    return "" if not suffix or suffix[1:].isdigit() else None  # the last number of a UID is no extension


def _best(path: str, index: Mapping[str, list[str]], root: Path) -> list[str]:
    """Files that a path may refer to, those with the best agreement of folders; outside the root, the path itself."""
    plain = path.strip().replace("\\", "/")
    elsewhere = plain.startswith(("/", "..")) or re.match(r"^[A-Za-z]:", plain) is not None
    if elsewhere and (root / path).is_file():
        return [path]
    place = PurePosixPath(plain)
    ending = _ending(place.name) or ""
    folders = [part for part in place.parent.parts if part != "."]
    ranked = [
        (_agreement(folders, list(PurePosixPath(f).parent.parts)), f)
        for f in index.get(place.name.removesuffix(ending), ())
    ]
    if folders and not elsewhere:  # the stated folder, one below it, or the root itself
        ranked = [(n, f) for n, f in ranked if n or "/" not in f or _below(folders, PurePosixPath(f).parent.parts)]
    most = max((n for n, _ in ranked), default=0)
    return [f for n, f in ranked if n == most]


def _below(stated: list[str], actual: tuple[str, ...]) -> bool:
    """Whether the actual folder lies below the given one, which may start with folders above the root.

    >>> _below(["png"], ("png", "part1")), _below(["set", "png"], ("png", "part1")), _below(["png"], ("mask", "png2"))
    (True, True, False)
    """
    return any(actual[: len(stated) - k] == tuple(stated[k:]) for k in range(len(stated)))


def _agreement(stated: list[str], actual: list[str]) -> int:
    """Number of equal folders, counted upwards from the file."""
    pairs = zip(reversed(stated), reversed(actual), strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(stated), len(actual)))


def _refuse_unclear(several: list[str], found: Mapping[str, str], where: object) -> None:
    do = 'State folder and extension: columns = { path = "png/{image_id}.png" }.'
    problems = []
    if several:
        expected = "one file for every image"
        problems.append(InputError(where, expected, f"{len(several):,} images with several", examples=several, do=do))
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for path, file in found.items():
        owners[file].append(path)
    shared = [f"{file}: {', '.join(paths[:3])}" for file, paths in owners.items() if len(paths) > 1]
    if shared:
        found_text = f"{len(shared):,} files that several paths of the table could mean"
        problems.append(InputError(where, "a file of its own for every path", found_text, examples=shared, do=do))
    if problems:
        raise InputError.all(problems)
