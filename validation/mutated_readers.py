"""The readers that `mutations.py` gives its files to: all that a command would use for a kind of file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import mutated_files as files
import numpy as np

# What Python and the libraries say in their own messages: none of it may enter ours.
FOREIGN = re.compile(
    r"Error\b|Exception|pydicom|pydantic|imagecodecs|numpy|polars|NoneType|could not convert|codec can't|unpack\b|"
    r"invalid literal|has no attribute|<class|panicked"
)
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def read(kind: str, path: Path) -> None:
    """Read a file by every reader that a command would use for it; the answer is that of the first."""
    from overread.errors import InputError

    refused: list[InputError | None] = []
    for reader in READERS[kind](path):
        try:
            reader()
            refused.append(None)
        except InputError as error:
            refused.append(error)
            check_words(str(error))
    if refused[0] is not None:
        raise refused[0]


def check_words(said: str) -> None:
    """Refuse a message that has a library's words, or characters that act on a terminal."""
    if found := FOREIGN.search(said) or CONTROLS.search(said):
        raise AssertionError(f"{found[0]!r} in {said[:500]!a}")


def _read_dicom(path: Path) -> list[Callable[[], object]]:
    from overread.images.dicom.headers import dataset_of, header_of
    from overread.images.dicom.radiographs import decode_dicom

    data = path.read_bytes()
    return [
        lambda: decode_dicom(data, "fuzz"),
        lambda: header_of(dataset_of(data[: 1 << 20], "fuzz", with_pixels=False), "fuzz"),
    ]


def _read_picture(path: Path) -> list[Callable[[], object]]:
    from overread.images.recipe.pixel_recipe import Recipe
    from overread.images.store.decode_worker import read_image

    return [lambda: read_image(path, Recipe(size=32)), lambda: read_image(path, Recipe(32, "pad", "percentile"))]


def _read_table(path: Path) -> list[Callable[[], object]]:
    from overread import tables
    from overread.cohort import CohortConfig
    from overread.cohort.listed_split import listed
    from overread.protocol.validation import check

    name = path.name.split(".")[0]
    images = tables.check(files.frames(np.random.default_rng(0))["images"], "images")
    return [
        lambda: check(path),
        lambda: check(path, name),
        lambda: tables.read(path, name),
        lambda: listed(images, CohortConfig(split_file=str(path), split_unlisted="train")),
    ]


def _read_toml(path: Path) -> list[Callable[[], object]]:
    from overread.cli.arguments import stated
    from overread.protocol import load
    from overread.protocol.report_stage import _stated
    from overread.protocol.validation import SECTIONS, check
    from overread.tables.records.configuration import parse_section

    def configured() -> None:
        for name, kind in SECTIONS.items():
            if name != "options":
                parse_section(kind, stated(path, name, alone=False), name)

    return [lambda: check(path), lambda: load(path), lambda: _stated(path), configured]


def _read_json(path: Path) -> list[Callable[[], object]]:
    from overread import ledger, runs
    from overread.images.store import pixel_store
    from overread.protocol.stage_folder import _stamp
    from overread.reporting.report_data import _json
    from overread.tables import records
    from overread.tables.records.kinds import MapsRecord, ModelRecord, Notes

    kinds = {"notes.json": Notes, "heatmaps.json": MapsRecord, "model.json": ModelRecord}
    made: list[Callable[[], object]] = [lambda: runs.read_json(path)]
    if path.name == "run.json":
        made += [
            lambda: runs.read(path.parent),
            lambda: runs.complete(path.parent, "ab"),
            lambda: runs.input_hash(path.parent),
        ]
    elif path.name == "stage.json":
        made += [lambda: _stamp(path.parent)]
    elif path.name == "ledger.jsonl":
        made = [
            lambda: ledger.read(path),
            lambda: ledger.faults(path, {"number": 1, "hash": "ab"}),
            lambda: ledger.append(path, analysis="a", models=[], cases=1, labels_hash="", protocol_hash=""),
        ]
    elif path.name == "recipe.json":
        made += [lambda: pixel_store.open_store(path.parent.parent)]
    else:
        made += [lambda: records.read_json(path, kinds[path.name]), lambda: _json(path, kinds[path.name])]
    return made


def _read_array(path: Path) -> list[Callable[[], object]]:
    from overread.tables.records.typed_files import read_array

    return [
        lambda: read_array(path, (np.uint8,), (None, 32, 32)).sum(),
        lambda: read_array(path, (np.float16,), (None, 1, None, None)).sum(),
    ]


def _read_model(path: Path) -> list[Callable[[], object]]:
    from overread.training.networks.model_folder import load_network, open_model
    from overread.training.networks.weights import read_state

    made: list[Callable[[], object]] = [lambda: open_model(path.parent), lambda: load_network(open_model(path.parent))]
    return [*made, lambda: read_state(path)] if path.suffix == ".safetensors" else made


READERS: dict[str, Callable[[Path], list[Callable[[], object]]]] = {
    "dicom": _read_dicom,
    "png": _read_picture,
    "jpeg": _read_picture,
    "csv": _read_table,
    "parquet": _read_table,
    "toml": _read_toml,
    "json": _read_json,
    "npy": _read_array,
    "model": _read_model,
}
