import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.errors import InputError
from overread.images.raster.file_content import ImageFile
from overread.images.raster.png_jpeg import read_raster
from overread.images.recipe.pixel_recipe import Recipe, _percentiles, apply_recipe


def picture(values, black=0.0, white=255.0):
    return ImageFile(values, black, white, *values.shape)


def area_average(values, size):
    """The slow twin: every new pixel is the mean over the area that falls on it."""

    def weights(n):
        edges = np.linspace(0, n, size + 1)
        low, high = edges[:-1, None], edges[1:, None]
        cell = np.arange(n)[None, :]
        return np.clip(np.minimum(high, cell + 1) - np.maximum(low, cell), 0, None) / (high - low)

    return weights(values.shape[0]) @ values @ weights(values.shape[1]).T


def smooth(rows, columns, rng):
    """A random picture with the spectrum of radiographs: power falls with the third power of the frequency."""
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.fft2(rng.normal(size=(rows, columns)))
    values = np.fft.ifft2(noise / frequency**1.5).real
    values -= values.min()
    return (values / values.max() * 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(640, 640), (1024, 1024), (500, 778)])
def test_shrinking_is_the_area_average_to_a_grey_level(shape):
    values = smooth(*shape, np.random.default_rng(1))
    side = min(shape)
    top, left = (shape[0] - side) / 2, (shape[1] - side) / 2
    square = values[int(top) : int(top) + side, int(left) : int(left) + side]
    made = apply_recipe(picture(values), Recipe(160))
    assert made.shape == (160, 160)
    assert np.abs(made - area_average(square.astype(float), 160)).mean() < 0.6


def test_real_radiographs_shrink_to_their_area_average(shared):
    for file in sorted(shared("real/cxr/images/guangzhou").iterdir())[:5]:
        values = read_raster(file).pixels
        side = min(values.shape) // 2 * 2
        top, left = ((n - side) // 2 for n in values.shape)
        square = values[top : top + side, left : left + side]
        assert np.abs(apply_recipe(picture(square), Recipe(100)) - area_average(square.astype(float), 100)).mean() < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["crop", "pad"])
@given(
    rows=st.integers(1, 900),
    columns=st.integers(1, 900),
    size=st.integers(8, 70),
    deep=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_greys_in_a_table_are_shrunk_to_the_same_bits_as_the_picture_written_out(fit, rows, columns, size, deep, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 4096 if deep else 256, (rows, columns)).astype(np.uint16 if deep else np.uint8)
    table = rng.integers(0, 256, 65536 if deep else 256).astype(np.uint16)
    in_table = ImageFile(numbers, 0.0, 255.0, rows, columns, table=table)
    written_out = picture(table[numbers].astype(np.uint8))
    np.testing.assert_array_equal(
        apply_recipe(in_table, Recipe(size, fit)), apply_recipe(written_out, Recipe(size, fit))
    )


def test_the_mean_is_kept():
    values = smooth(600, 600, np.random.default_rng(2))
    assert abs(apply_recipe(picture(values), Recipe(150)).mean() - values.mean()) < 0.3


def test_the_same_size_changes_nothing():
    values = smooth(96, 96, np.random.default_rng(3))
    for fit in ("crop", "pad"):
        np.testing.assert_array_equal(apply_recipe(picture(values), Recipe(96, fit)), values)


def test_crop_takes_the_central_square():
    values = np.zeros((100, 200), np.uint8)
    values[:, 50:150] = 200
    assert apply_recipe(picture(values), Recipe(50, "crop")).min() > 150
    assert apply_recipe(picture(values), Recipe(50, "crop"))[5:-5, 5:-5].min() == 200


def test_pad_keeps_the_whole_image_and_fills_with_black():
    values = np.full((100, 200), 200, np.uint8)
    made = apply_recipe(picture(values), Recipe(50, "pad"))
    assert made[:12].max() == 0
    assert made[38:].max() == 0
    assert made[13:37].min() == 200


def test_enlarging_small_pictures_works():
    values = smooth(64, 64, np.random.default_rng(4))
    made = apply_recipe(picture(values), Recipe(160))
    assert made.shape == (160, 160)
    assert abs(made.mean() - values.mean()) < 1


def test_full_window_spreads_the_display_range():
    values = np.linspace(100, 4000, 64 * 64).reshape(64, 64).astype(np.uint16)
    made = apply_recipe(picture(values, 100.0, 4000.0), Recipe(64))
    assert (made.min(), made.max()) == (0, 255)
    assert abs(float(np.median(made)) - 127.5) <= 1


def test_percentile_window_is_deaf_to_a_bright_marker():
    values = np.random.default_rng(5).integers(1000, 2000, (200, 200)).astype(np.uint16)
    values[:5, :10] = 65535
    picture_ = picture(values, float(values.min()), float(values.max()))
    full, percentile = apply_recipe(picture_, Recipe(200)), apply_recipe(picture_, Recipe(200, window="percentile"))
    assert full[10:].max() < 10
    assert percentile[10:].max() - percentile[10:].min() > 200


def test_percentiles_of_whole_numbers_are_those_of_numpy():
    values = np.random.default_rng(6).integers(0, 4096, (113, 97)).astype(np.uint16)
    expected = np.percentile(values, [0.5, 99.5], method="inverted_cdf")
    np.testing.assert_array_equal(_percentiles(values), expected)
    np.testing.assert_array_equal(_percentiles(values.astype(np.float32)), expected)


@pytest.mark.slow
def test_deep_pictures_shrink_alike_as_numbers_of_either_kind():
    values = (smooth(512, 512, np.random.default_rng(7)).astype(np.uint16) << 4) + 3
    as_whole = apply_recipe(picture(values, 3.0, 4083.0), Recipe(64)).astype(int)
    as_float = apply_recipe(picture(values.astype(np.float32), 3.0, 4083.0), Recipe(64))
    assert np.abs(as_whole - as_float).max() <= 1


def test_one_value_all_over_is_black():
    assert apply_recipe(picture(np.full((20, 20), 7, np.uint16), 7.0, 7.0), Recipe(8)).max() == 0


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 90),
    columns=st.integers(1, 90),
    size=st.integers(8, 64),
    fit=st.sampled_from(["crop", "pad"]),
    window=st.sampled_from(["full", "percentile"]),
    deep=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_shape_gives_a_square_within_range(rows, columns, size, fit, window, deep, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4096 if deep else 256, (rows, columns)).astype(np.uint16 if deep else np.uint8)
    made = apply_recipe(picture(values, 0.0, 4095.0 if deep else 255.0), Recipe(size, fit, window))
    assert made.shape == (size, size)
    assert made.dtype == np.uint8


def test_a_recipe_survives_json_and_refuses_what_it_does_not_know():
    recipe = Recipe(160, "pad", "percentile")
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert "160 x 160" in recipe.describe()
    with pytest.raises(InputError, match=r"unknown keys.*Did you mean 'window'"):
        Recipe.from_dict({"windw": "full"})
    with pytest.raises(InputError) as caught:
        Recipe(2, "squash", "percentil")
    assert "3 problems" in str(caught.value)
    assert "Did you mean 'percentile'?" in str(caught.value)


@pytest.mark.parametrize("window", ["full", "percentile"])
@pytest.mark.parametrize("grey", [np.uint16, np.float32])
def test_a_picture_with_a_table_is_the_picture_that_the_table_shows(window, grey):
    rng = np.random.default_rng(4)
    numbers = rng.integers(0, 4096, (90, 70)).astype(np.uint16)
    table = (60000 - 9.7 * np.arange(65536).clip(max=4095)).astype(grey)  # falling, as MONOCHROME1
    shown = picture(table[numbers], 20000.0, 60000.0)
    stored = ImageFile(numbers, 20000.0, 60000.0, 90, 70, table=table)
    np.testing.assert_array_equal(
        apply_recipe(stored, Recipe(32, window=window)), apply_recipe(shown, Recipe(32, window=window))
    )
