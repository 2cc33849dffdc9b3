"""Input files are regular files within their limit; whatever else lies at a path is named, and not waited for."""

import os
import socket
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from overread import regular, tables
from overread.cli import app
from overread.errors import InputError
from overread.images.dicom.header_scan import scan
from overread.images.raster.file_content import read_bytes
from overread.regular import NotRegular


@pytest.fixture(params=["pipe", "socket", "device", "endless device", "link to a pipe", "link to a device"])
def strange(request, tmp_path):
    """A path at which no regular file lies, and what it is called."""
    path, kind = tmp_path / "strange", request.param
    if "pipe" in kind:
        os.mkfifo(tmp_path / "pipe")
    if kind == "socket":
        place = Path(tempfile.mkdtemp(dir="/tmp")) / "s"  # the name of a socket has 107 bytes at most
        held = socket.socket(socket.AF_UNIX)
        held.bind(str(place))
        held.close()
        return place, "a socket"
    if kind == "pipe":
        return tmp_path / "pipe", "a named pipe"
    if kind.startswith("link"):
        path.symlink_to(tmp_path / "pipe" if "pipe" in kind else "/dev/zero")
        return path, "a named pipe" if "pipe" in kind else "a character device"
    return Path("/dev/zero" if "endless" in kind else "/dev/null"), "a character device"


def test_it_is_named_and_not_opened(strange):
    path, kind = strange
    assert regular.kind(path) == kind
    with pytest.raises(NotRegular, match=f"expected a regular file; found {kind}"), regular.opened(path):
        pass
    with pytest.raises(InputError, match=kind):
        tables.load(path)
    with pytest.raises(InputError, match=kind):
        read_bytes(path)


def test_a_scan_of_headers_goes_past_it(strange, tmp_path):
    (tmp_path / "other").write_text("hello")
    found = scan([strange[0], tmp_path / "other"])
    assert found["kind"].to_list() == [strange[1], "unknown data"]


COMMANDS = {
    "evaluate --images": ("evaluate", "--images", "X", "--labels", "a.csv", "--predictions", "a.csv", "-o", "out"),
    "evaluate --labels": ("evaluate", "--images", "a.csv", "--labels", "X", "--predictions", "a.csv", "-o", "out"),
    "evaluate --predictions": ("evaluate", "--images", "a.csv", "--labels", "a.csv", "--predictions", "X", "-o", "out"),
    "evaluate --reads": (
        "evaluate",
        "--images",
        "a.csv",
        "--labels",
        "a.csv",
        "--predictions",
        "a.csv",
        "--reads",
        "X",
        "-o",
        "out",
    ),
    "evaluate --config": (
        "evaluate",
        "--images",
        "a.csv",
        "--labels",
        "a.csv",
        "--predictions",
        "a.csv",
        "--config",
        "X",
        "-o",
        "out",
    ),
    "cohort --root": ("cohort", "--reader", "dicom_folder", "--root", "X", "-o", "out"),
    "cohort --images": ("cohort", "--images", "X", "--labels", "a.csv", "--root", ".", "-o", "out"),
    "cohort --config": ("cohort", "--reader", "dicom_folder", "--root", ".", "--config", "X", "-o", "out"),
    "run": ("run", "X", "-o", "out"),
    "check": ("check", "X"),
    "deidentify": ("deidentify", "X", "-o", "out", "--key", "a.csv"),
    "deidentify --key": ("deidentify", "in", "-o", "out", "--key", "X"),
    "sample": ("sample", "X", "-o", "out"),
    "report": ("report", "X", "-o", "out"),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_it_in_a_sentence(command, strange, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("image_id,patient_id,site,finding,source,state,model,score\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(b"no dicom")
    done = CliRunner().invoke(app, [str(strange[0]) if word == "X" else word for word in COMMANDS[command]])
    assert isinstance(done.exception, InputError), done.exception


@pytest.mark.parametrize("size", [0, 1, 100, 100_000])
def test_the_content_is_that_of_the_file(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)
    assert regular.content(tmp_path / "a", most=size) == data
    if size:
        with pytest.raises(InputError, match=f"at most {size - 1:,} bytes; found a file of {size:,} bytes"):
            regular.content(tmp_path / "a", most=size - 1)


def test_a_sparse_file_of_a_terabyte_is_refused(tmp_path):
    with (tmp_path / "a.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="a file of 1,099,511,627,776 bytes"):
        read_bytes(tmp_path / "a.png")
    with pytest.raises(InputError, match="bytes"):
        tables.load(tmp_path / "a.png")


def test_folders_absent_files_and_impossible_names_raise_what_open_raises(tmp_path):
    for path, kind in ((tmp_path, IsADirectoryError), (tmp_path / "none", FileNotFoundError), ("a\0b", OSError)):
        with pytest.raises(kind), regular.opened(path):
            pass
