"""Recognition of files that are not delimited text, from their first bytes."""

from __future__ import annotations

import re
from pathlib import Path

from overread.errors import InputError

EXPECTED = "a readable CSV or Parquet file"
_SAVE = "Save the table as CSV (UTF-8)."
_UNPACK = "Unpack it and give the table in it."

# First bytes of a file, what such a file is, what to do about it.
_BINARY: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", _SAVE),
    (b"%PDF", "a PDF document", _SAVE),
    (b"{\\rtf", "a document in rich text format", _SAVE),
    (b"\x28\xb5\x2f\xfd", "a file compressed with Zstandard", _UNPACK),
    (b"BZh", "a file compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "a file compressed with xz", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"ARROW1", "an Arrow (Feather) file", "Save the table as CSV or Parquet."),
    (b"\x93NUMPY", "a NumPy array", "Save the table as CSV or Parquet."),
    (b"\x89HDF", "an HDF5 file", "Save the table as CSV or Parquet."),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV."),
    (b"\x89PNG", "a PNG image", "Give the table of images, not an image."),
    (b"\xff\xd8\xff", "a JPEG image", "Give the table of images, not an image."),
    (b"version https://git-lfs", "a Git LFS pointer, not the table itself", "Fetch the file: git lfs pull."),
)
_HTML = re.compile(r"\s*<(!doctype|html|head|body|table|meta|div|\?xml|!--)", re.IGNORECASE)
_JSON = re.compile(r"\s*(\{\s*[\"}]|\[\s*[\[{\]]|\[\s*\"[^\n]*\]\s*$)")


def refuse_binary(content: bytes, path: Path) -> None:
    """Raise InputError for workbooks, archives, images and other known binary formats."""
    if content.startswith(b"PK\x03\x04"):
        if b"xl/" in content or path.suffix.casefold() in (".xlsx", ".xlsm"):
            raise InputError(path, EXPECTED, "an Excel workbook (.xlsx)", do=_SAVE)
        if path.suffix.casefold() == ".ods" or b"opendocument" in content[:200]:
            raise InputError(path, EXPECTED, "an OpenDocument file (.ods)", do=_SAVE)
        raise InputError(path, EXPECTED, "a ZIP archive", do=_UNPACK)
    if content[128:132] == b"DICM":
        raise InputError(path, EXPECTED, "a DICOM object", do="Give the table of images, not an image.")
    for signature, name, do in _BINARY:
        if content.startswith(signature):
            raise InputError(path, EXPECTED, name, do=do)


def refuse_markup(text: str, path: Path) -> None:
    """Raise InputError for HTML, XML and JSON."""
    if _HTML.match(text):
        do = "Download the table itself; a login or error page may have been saved in its place."
        raise InputError(path, EXPECTED, "an HTML or XML page", do=do)
    if _JSON.match(text):
        raise InputError(path, EXPECTED, "JSON", do="Save the table as CSV, one line per row.")
