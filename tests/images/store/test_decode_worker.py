import numpy as np
import pytest
from PIL import Image

from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store.decode_worker import made_in_order, make, part_key, portions, read_image

RECIPE = Recipe(32, "pad")


def files(folder, n):
    rng = np.random.default_rng(0)
    paths = []
    for i in range(n):
        path = folder / f"{i:03d}.{'png' if i % 2 else 'jpg'}"
        Image.fromarray(rng.integers(0, 255, (40, 50), dtype=np.uint8)).save(path)
        paths.append(path)
    return paths


def test_png_jpeg_and_dicom_are_told_by_content(tmp_path, write_dicom):
    values = (np.arange(64 * 64).reshape(64, 64) // 16).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.dat", format="PNG")
    dicom = write_dicom(values, "b.png", bits=8)
    expected = read_image(tmp_path / "a.dat", RECIPE)
    assert np.abs(read_image(dicom, RECIPE).astype(int) - expected).max() <= 1
    Image.fromarray(values).save(tmp_path / "c.dcm", format="JPEG", quality=100)
    assert np.abs(read_image(tmp_path / "c.dcm", RECIPE).astype(int) - expected).max() <= 3


def test_other_files_are_said(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"%PDF-1.4 ...")
    with pytest.raises(InputError, match="a PNG, JPEG or DICOM radiograph; found a file whose content is PDF"):
        read_image(tmp_path / "a.jpg", RECIPE)


def test_make_goes_on_past_what_it_cannot_read(tmp_path):
    paths = files(tmp_path, 3)
    paths[1].write_bytes(b"")
    records, rows = make([*paths, tmp_path / "none.png"], RECIPE)
    assert [r.fault for r in records] == ["", "an empty file (0 bytes)", "", "no file there"]
    assert rows.shape == (2, 32, 32)
    assert records[0].rows == 40
    assert len(records[0].sha256) == 64


@pytest.mark.slow
def test_order_and_values_do_not_depend_on_the_workers(tmp_path):
    paths = files(tmp_path, 50)
    assert [len(p) for p in portions(paths)] == [16, 16, 16, 2]
    alone, both = (list(made_in_order([paths[:20], paths[20:]], RECIPE, workers)) for workers in (1, 2))
    assert [len(records) for records, _ in alone] == [16, 4, 16, 14]
    assert [records for records, _ in alone] == [records for records, _ in both]
    for (_, a), (_, b) in zip(alone, both, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_key_changes_with_what_a_part_is_made_of(tmp_path):
    paths = files(tmp_path, 2)
    key = part_key(["a", "b"], paths, RECIPE)
    assert key[1] == []
    assert part_key(["a", "b"], paths, RECIPE) == key
    assert part_key(["a", "b"], [paths[0], tmp_path / "none"], RECIPE)[1] == [1]
    assert part_key(["a", "c"], paths, RECIPE) != key
    assert part_key(["a", "b"], paths, Recipe(33, "pad")) != key
    paths[0].write_bytes(b"changed")
    assert part_key(["a", "b"], paths, RECIPE) != key
