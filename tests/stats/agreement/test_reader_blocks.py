from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.errors import InputError
from overread.stats.agreement import find_blocks
from overread.stats.agreement.reader_blocks import WEAK


def test_disjoint_blocks_are_found_in_the_order_of_their_readers():
    read = np.zeros((40, 5), dtype=bool)
    read[:20, [0, 3]] = True
    read[20:, [1, 4]] = True
    assert find_blocks(read).tolist() == [0, 1, -1, 0, 1]


def test_a_few_common_cases_do_not_join_two_blocks():
    read = np.zeros((400, 6), dtype=bool)
    read[:200, :3], read[200:, 3:] = True, True
    read[:10, 3] = True  # ten cases of the first block are read by a reader of the second
    assert find_blocks(read).tolist() == [0, 0, 0, 1, 1, 1]
    read[:150, 3] = True
    assert find_blocks(read).tolist() == [0] * 6


def test_everyone_reads_everything_in_one_block():
    assert set(find_blocks(np.ones((10, 7))).tolist()) == {0}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 20))
def test_random_assignment_is_one_block(seed, readers):
    rng = np.random.default_rng(seed)
    read = np.zeros((200, readers), dtype=bool)
    for row in read:
        row[rng.permutation(readers)[:3]] = True
    assert set(find_blocks(read).tolist()) == {0}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_no_two_blocks_share_more_than_the_limit_and_order_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    read = rng.random((60, 8)) < rng.choice([0.02, 0.5], (1, 8))
    read[:30, :4] = False
    blocks = find_blocks(read)
    common = read.T.astype(float) @ read
    np.fill_diagonal(common, 0)
    total = common.sum()
    for a in range(blocks.max() + 1):
        for b in range(a):
            between = common[np.ix_(blocks == a, blocks == b)].sum()
            ends = common[blocks == a].sum() * common[blocks == b].sum()
            assert between * total <= WEAK * ends + 1e-9 or not ends
    assert np.array_equal(find_blocks(read[rng.permutation(60)]), blocks)


def test_an_array_of_one_dimension_is_refused():
    with pytest.raises(InputError, match=r"n_cases, n_readers"):
        find_blocks([True, False])
