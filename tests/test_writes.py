"""Every write of the package reports a full disk, a read-only file system and the like in plain words."""

from __future__ import annotations

import ast
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread import integrity, ledger, protocol, runs, tables
from overread.errors import InputError, WriteError

SOURCE = Path(__file__).parents[1] / "src/overread"

# Calls that write, by the name of the function or method.
_WRITERS = {
    "write_text",
    "write_bytes",
    "write_csv",
    "write_parquet",
    "write_ipc",
    "write_json",
    "write_ndjson",
    "sink_csv",
    "sink_parquet",
    "save",
    "savez",
    "savez_compressed",
    "savetxt",
    "tofile",
    "save_as",
    "dcmwrite",
    "save_file",
    "savefig",
    "to_csv",
    "to_parquet",
    "mkdir",
    "makedirs",
    "mkdtemp",
    "mkstemp",
    "NamedTemporaryFile",
    "TemporaryDirectory",
    "unlink",
    "rmdir",
    "rmtree",
    "removedirs",
    "rename",
    "renames",
    "touch",
    "symlink",
    "symlink_to",
    "hardlink_to",
    "link",
    "chmod",
    "copyfile",
    "copy2",
    "copytree",
    "open_memmap",
    "extractall",
    "dump",
}
_OWN = {"tables", "files"}  # tables.write_text and its like are the functions that report failures
_SAFE = {"writing", "replacing"}  # blocks that report failures


def _opens_to_write(call: ast.Call) -> bool:
    """Whether open(...), path.open(...), os.open(...), ZipFile(...) is given a mode or flags that write."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in ("open", "fdopen", "ZipFile", "memmap"):
        return False
    values = [*call.args, *(k.value for k in call.keywords)]
    flags = {n.attr for v in values for n in ast.walk(v) if isinstance(n, ast.Attribute)}
    modes = [v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)]
    return bool(flags & {"O_WRONLY", "O_RDWR", "O_CREAT"}) or any(
        set(m) <= set("rwaxbt+") and set(m) & set("wax+") for m in modes
    )


def _buffers(function: ast.AST) -> set[str]:
    """The names of in-memory files: `buffer = io.BytesIO()`."""
    made = [n for n in ast.walk(function) if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call)]
    return {
        t.id
        for n in made
        for t in n.targets
        if isinstance(t, ast.Name) and ast.unparse(n.value.func) in ("io.BytesIO", "io.StringIO", "BytesIO")
    }


def _writes(call: ast.Call, buffers: set[str]) -> bool:
    if _opens_to_write(call):
        return True
    if isinstance(call.func, ast.Name):
        return call.func.id in _WRITERS - {"write_text", "write_json", "link", "save", "dump"}
    if not isinstance(call.func, ast.Attribute):
        return False
    owner, name = ast.unparse(call.func.value), call.func.attr
    if owner == "os" and name in ("replace", "remove", "link", "open"):
        return name != "open" or _opens_to_write(call)
    if name not in _WRITERS or owner in _OWN or owner in ("checkpoint", "json"):
        return False
    if name == "write_csv" and not call.args:  # returns the text
        return False
    if name == "open_memmap" and any(k.arg == "mode" and ast.unparse(k.value) == "'r'" for k in call.keywords):
        return False
    if name == "rename":  # of a path: target is a path; of a data frame: a dictionary or a word
        if owner in ("frame", "long", "rows"):
            return False
        target = call.args[0] if call.args else None
        return (isinstance(target, ast.Name) and target.id.islower() and not target.id.startswith("_")) or (
            isinstance(target, ast.BinOp) and isinstance(target.op, ast.Div)
        )
    return not (call.args and isinstance(call.args[0], ast.Name) and call.args[0].id in buffers)


def unguarded(source: str) -> list[str]:
    """Calls that write outside a `with writing(...)` or `with replacing(...)` block."""
    tree, found = ast.parse(source), []

    def visit(node: ast.AST, safe: bool, buffers: set[str]) -> None:
        if isinstance(node, ast.FunctionDef):
            buffers = _buffers(node)
        if isinstance(node, ast.With):
            opened = [i.context_expr for i in node.items if isinstance(i.context_expr, ast.Call)]
            names = {c.func.attr if isinstance(c.func, ast.Attribute) else getattr(c.func, "id", "") for c in opened}
            safe = safe or bool(names & _SAFE)
        if isinstance(node, ast.Call) and not safe and _writes(node, buffers):
            found.append(f"line {node.lineno}: {ast.unparse(node.func)}")
        for child in ast.iter_child_nodes(node):
            visit(child, safe, buffers)

    visit(tree, False, set())
    return found


@pytest.mark.slow
def test_every_write_goes_through_the_function_that_reports_failures():
    found = {
        str(path.relative_to(SOURCE)): calls
        for path in sorted(SOURCE.rglob("*.py"))
        if path not in (SOURCE / "tables/storage/files.py", SOURCE / "tables/storage/write_errors.py")
        and (calls := unguarded(path.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "open(p, 'w')",
        "p.open('ab')",
        "p.open(mode='x')",
        "p.write_text('a')",
        "frame.write_csv(p)",
        "np.save(p, a)",
        "torch.save(s, p)",
        "save_file(s, p)",
        "p.mkdir()",
        "os.replace(a, b)",
        "shutil.rmtree(p)",
        "p.unlink()",
        "zipfile.ZipFile(p, 'w')",
        "image.save(p)",
        "os.open(p, os.O_WRONLY)",
        "dataset.save_as(p)",
    ],
)
def test_a_new_write_that_goes_past_it_is_found(line):
    assert unguarded(f"def f():\n    {line}\n")
    assert not unguarded(f"def f():\n    with tables.replacing(p) as t:\n        {line}\n")


@pytest.mark.parametrize("line", ["open(p)", "p.open('rb')", "frame.write_csv()", "tables.write_text(p, 'a')"])
def test_reading_and_the_function_itself_are_no_fault(line):
    assert not unguarded(f"def f():\n    {line}\n")


BIG = np.random.default_rng(0).random(400_000)  # 3.2 MB, more than the small disk holds


def _torch_state(path: Path) -> None:
    checkpoint = pytest.importorskip("overread.training.fitting.checkpoint")
    import torch

    checkpoint._save({"a": torch.from_numpy(BIG)}, path)


def _weights(path: Path) -> None:
    checkpoint = pytest.importorskip("overread.training.fitting.checkpoint")
    import torch

    network = torch.nn.Linear(1000, 400)
    checkpoint.save_weights(network, path)


def _image(path: Path) -> None:
    from PIL import Image

    with tables.replacing(path) as part:
        Image.fromarray((BIG.view(np.uint8)[:3_000_000]).reshape(1500, 2000)).save(part, format="PNG")


def _dicom(path: Path) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.PixelData = BIG.tobytes()
    dataset["PixelData"].VR = "OB"
    with tables.replacing(path) as part:
        dataset.save_as(part, enforce_file_format=True)


def _archive(path: Path) -> None:
    import zipfile

    with tables.replacing(path) as part, zipfile.ZipFile(part, "w") as archive:
        archive.writestr("a", BIG.tobytes())


WRITE = {
    "parquet": lambda path: tables.write_frame(pl.DataFrame({"a": BIG}), path.with_suffix(".parquet")),
    "csv": lambda path: tables.write_frame(pl.DataFrame({"a": BIG}), path.with_suffix(".csv")),
    "text": lambda path: tables.write_text(path, "x" * 3_000_000),
    "json": lambda path: tables.write_json(path, BIG.tolist()),
    "array": lambda path: tables.write_array(path, BIG),
    "checkpoint": _torch_state,
    "weights": _weights,
    "image": _image,
    "dicom": _dicom,
    "archive": _archive,
    "ledger": lambda path: ledger.append(
        path, analysis="x" * 3_000_000, models=[], cases=1, labels_hash="", protocol_hash=""
    ),
    "key": lambda path: tables.write_new(path, BIG.tobytes()),
    "run": lambda path: _run(path.parent),
}
KEEP = {**WRITE}  # those that replace a file
del KEEP["key"], KEEP["ledger"], KEEP["run"]


def _run(folder: Path) -> None:
    with runs.start(folder, "x", config={}) as run:
        run.note("big", "x" * 3_000_000)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path_factory.mktemp("disk")
    mount = shutil.which("mount")
    made = mount and subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if not made or made.returncode:
        pytest.skip("a small disk cannot be mounted here (needs root)")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def read_only(disk: Path) -> Iterator[Path]:
    """The same disk, mounted read-only."""
    (disk / "there").mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    yield disk
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITE)
def test_a_full_disk_is_said_so_and_leaves_nothing_half_written(disk, kind):
    folder = tables.make_folder(disk / kind)
    if kind in KEEP:
        for name in ("result", "result.parquet", "result.csv"):
            (folder / name).write_bytes(b"old")
    before = contents(folder)
    with pytest.raises(WriteError) as raised:
        WRITE[kind](folder / "result")
    assert str(raised.value).startswith(str(folder))
    assert "expected free space on the disk; found a full disk. Free some space or choose" in str(raised.value)
    left = contents(folder)
    if kind == "run":  # the record of its beginning, which was small enough
        assert runs.read(folder)["status"] == "running"
        del left["run.json"]
    assert {k: v for k, v in left.items() if v} == before
    assert not [name for name in left if name.endswith(".part")]
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITE)
def test_a_read_only_file_system_is_said_so(read_only, kind):
    with pytest.raises(
        WriteError, match="expected a file system that can be written to; found a read-only file system"
    ):
        WRITE[kind](read_only / "there/result")
    with pytest.raises(WriteError, match="found a read-only file system"):
        WRITE[kind](read_only / "new folder/deeper/result")


def test_a_plan_on_a_full_disk_is_one_paragraph(disk):
    (disk / "filler").write_bytes(b"x" * (shutil.disk_usage(disk).free - 1000))
    try:
        with pytest.raises(WriteError, match="found a full disk"):
            protocol.plan(protocol.Expected()).write(disk / "plan.csv")
        assert not (disk / "plan.csv").exists()
    finally:
        (disk / "filler").unlink()


CODES = [
    getattr(errno, name)
    for name in (
        "ENOSPC",
        "EDQUOT",
        "EROFS",
        "EIO",
        "EACCES",
        "EPERM",
        "ENAMETOOLONG",
        "ENOTDIR",
        "EISDIR",
        "EFBIG",
        "ESTALE",
        "EMFILE",
        "ENOENT",
        "EBUSY",
        "EINVAL",
        "ELOOP",
        "ENOMEM",
    )
]


def _polars(code: int) -> Exception:
    return pl.exceptions.ComputeError(f"parquet: underlying IO error: {os.strerror(code)} (os error {code})")


def _rust(code: int) -> Exception:
    return OSError(f"{os.strerror(code)} (os error {code}): /x/y")


def _torch(code: int) -> Exception:
    error = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")
    error.__context__ = OSError(code, os.strerror(code))
    return error


def _plain(code: int) -> Exception:
    return OSError(code, os.strerror(code))


@given(code=st.sampled_from(CODES), form=st.sampled_from([_plain, _polars, _rust, _torch]))
def test_every_cause_in_the_words_of_every_library_is_said_plainly(tmp_path_factory, code, form):
    path = tmp_path_factory.mktemp("w") / "result"
    path.write_text("old")
    with pytest.raises(WriteError) as raised, tables.replacing(path):
        raise form(code)
    said = str(raised.value)
    assert said.startswith(f"{path}: expected ")
    assert "rror" not in said.replace("input/output error", "")
    assert os.strerror(code) not in said
    assert said.rstrip(".").count(". ") == 1, "what to do follows"
    assert contents(path.parent) == {"result": b"old"}


@given(code=st.sampled_from(sorted(errno.errorcode)))
def test_any_code_of_the_system_is_an_input_error_when_our_own_call_fails(code):
    with pytest.raises(WriteError, match=r"^/somewhere/file: expected .*; found "), tables.writing("/somewhere/file"):
        raise OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyError("x"),
        RuntimeError("x"),
        OSError("cannot write mode F"),
        FileNotFoundError(2, "No such file", "/an/input"),
        ConnectionResetError(104, "x"),
    ],
)
def test_a_fault_that_is_no_failure_to_write_passes_unchanged(tmp_path, error):
    with pytest.raises(type(error)) as raised, tables.replacing(tmp_path / "result"):
        raise error
    assert raised.value is error
    assert contents(tmp_path) == {}


def test_an_error_under_way_before_the_write_is_not_taken_for_its_cause(tmp_path):
    try:
        raise OSError(errno.ENOSPC, "of another file")
    except OSError:
        with pytest.raises(RuntimeError, match="other"), tables.replacing(tmp_path / "result"):
            raise RuntimeError("other")  # noqa: B904


def test_paths_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("x")
    for path, found in (
        (tmp_path / "file/result", "found a file"),
        (tmp_path / ("x" * 300), "found a name or path that is too long"),
        (tmp_path, "found a folder of that name"),
    ):
        with pytest.raises(WriteError, match=found):
            tables.write_text(path, "x")
    name = "é" * 120  # 240 bytes, of 255
    assert tables.write_text(tmp_path / name, "x").read_text() == "x"


def test_a_failure_of_run_json_does_not_hide_the_failure_under_way(tmp_path, monkeypatch):
    def full(path, value):
        raise WriteError(path, "free space on the disk", "a full disk")

    monkeypatch.setattr(integrity, "write_sealed", full)
    with pytest.raises(InputError, match="the first"), runs.start(tmp_path, "x", config={}):
        raise InputError("a", "b", "the first")
    with pytest.raises(ZeroDivisionError), runs.start(tmp_path, "x", config={}):
        raise ZeroDivisionError
    with pytest.raises(WriteError), runs.start(tmp_path, "x", config={}):
        pass


def test_a_full_disk_stops_de_identification_and_quarantines_nothing(tmp_path, monkeypatch):
    from overread.images.deidentification import Deidentification, Key
    from overread.images.deidentification import single_file as module

    def full(*args):
        raise WriteError("out", "free space on the disk", "a full disk")

    (tmp_path / "a.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 400)
    monkeypatch.setattr(module, "_cleaned_file", full)
    with pytest.raises(WriteError):
        module.deidentify_file(tmp_path / "a.dcm", (tmp_path, tmp_path), Key(b"0" * 64), Deidentification())


def test_a_code_that_a_library_lost_is_found_in_the_error_behind_its_own(tmp_path):
    """pydicom's writer raises an OSError with a text alone, from the one of the operating system."""
    wrapped = OSError("(7FE0,0010) [Errno 28] No space left on device")
    wrapped.__cause__ = OSError(28, "No space left on device")
    with (
        pytest.raises(WriteError, match="expected free space on the disk; found a full disk"),
        tables.writing(tmp_path),
    ):
        raise wrapped


def test_pydicom_on_a_full_disk_is_said_so(disk):
    import pydicom

    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    made.add_new(0x7FE00010, "OW", bytes(3_000_000))
    with pytest.raises(WriteError, match="found a full disk"), tables.writing(disk / "a.dcm"):
        made.save_as(disk / "a.dcm", enforce_file_format=True)
    (disk / "a.dcm").unlink()
