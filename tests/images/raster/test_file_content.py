import pytest

from overread.errors import InputError
from overread.images.raster.file_content import check_size, content, read_bytes


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\nrest", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"%PDF-1.7", "PDF"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO", "DICOM"),  # no preamble: the first element is of group 0008
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer (the image itself was not downloaded)"),
        (b"hello world", "unknown data"),
        (b"", "unknown data"),
    ],
)
def test_content_is_told_by_the_first_bytes(head, kind):
    assert content(head) == kind


def test_missing_empty_and_folder_are_said(tmp_path):
    with pytest.raises(InputError, match=r"expected an image file; found no file there. Check the path"):
        read_bytes(tmp_path / "none.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match=r"found an empty file \(0 bytes\)"):
        read_bytes(tmp_path / "empty.png")
    with pytest.raises(InputError, match="cannot be opened: Is a directory"):
        read_bytes(tmp_path)


def test_a_forged_size_is_refused_before_memory_is_asked_for():
    check_size("x", 10_000, 10_000)
    with pytest.raises(InputError, match="at most 100,000,000 pixels; found 60,000 rows and 60,000 columns"):
        check_size("x", 60_000, 60_000)
    with pytest.raises(InputError, match="a picture with pixels"):
        check_size("x", 0, 5)
