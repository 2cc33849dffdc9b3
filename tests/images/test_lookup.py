import numpy as np
import pytest

from overread.images.lookup import counted, looked_up


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
