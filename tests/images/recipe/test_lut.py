import numpy as np
import pytest
from PIL import Image

from overread.images.recipe.lut import averaged, counted, looked_up

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("grey", [np.uint8, np.uint16, np.float32])
def test_the_table_is_looked_up_by_bits(kind, grey):
    rng = np.random.default_rng(1)
    info = np.iinfo(kind)
    numbers = rng.integers(info.min, info.max + 1, (31, 17)).astype(kind)
    table = rng.integers(0, 255, 1 << info.bits).astype(grey)
    found = looked_up(numbers, table)
    assert (found.dtype, found.shape) == (table.dtype, numbers.shape)
    np.testing.assert_array_equal(found, table[numbers.view(f"u{info.bits // 8}")])
    counts = counted(numbers)
    np.testing.assert_array_equal(counts, np.bincount(numbers.view(f"u{info.bits // 8}").ravel(), minlength=table.size))


def test_what_cannot_be_written_to_or_is_turned_is_read_too():
    numbers = np.frombuffer(bytes(range(12)), np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(looked_up(numbers.T, np.arange(256) * 2), numbers.T * 2.0)
    assert counted(numbers[:, ::2])[:4].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("kind", ["u1", "i2"])
@pytest.mark.parametrize("block", [(1, 2), (2, 1), (2, 2), (3, 3), (4, 4), (5, 7), (64, 255)])
def test_blocks_are_those_of_pillow_to_the_last_bit(kind, block):
    rng = np.random.default_rng(2)
    info = np.iinfo(kind)
    numbers = rng.integers(info.min, info.max + 1, (71, 53)).astype(kind)
    table = rng.integers(0, 256, 1 << info.bits).astype(np.uint8)
    for box in [(0, 0, 53, 71), (3, 5, 52, 70), (7, 0, 8, 71), (0, 70, 53, 71)]:
        expected = Image.fromarray(looked_up(numbers, table)).reduce(block[::-1], box=box)
        np.testing.assert_array_equal(averaged(numbers, table, block, box), np.asarray(expected))


def test_a_white_block_stays_white():
    white = np.full((200, 300), 7, np.uint8)
    found = averaged(white, np.full(256, 255, np.uint8), (100, 255), (0, 0, 300, 200))
    assert found.tolist() == [[255, 255], [255, 255]]
