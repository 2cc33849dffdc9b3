"""Which reads were never to be made and which are missing, as far as the reads show it."""

import numpy as np

from overread import codes
from overread.evaluation.arms.arm_designs import design_note, design_of


def note(read, **more):
    """The codes of the note on reads (n_arms, n_readers, n_cases), with their parameters."""
    read = np.asarray(read, dtype=bool)
    return {c.name: dict(c.parameters) for c in codes.decode(codes.encode(design_note(read, design_of(read), **more)))}


def split_plot():
    """Two groups of two readers, each of whom reads the three cases of the group in both arms."""
    read = np.zeros((2, 4, 6), dtype=bool)
    read[:, :2, :3] = read[:, 2:, 3:] = True
    return read


def test_the_cases_of_another_group_of_readers_are_not_missing():
    assert note(split_plot()) == {"reads_in_groups": {"groups": 2, "n": 24, "total": 48}}


def test_a_read_that_is_lost_within_a_group_is_missing():
    read = split_plot()
    read[1, 0, 0] = False
    assert note(read) == {
        "reads_in_groups": {"groups": 2, "n": 24, "total": 48},
        "reads_missing": {"n": 1, "total": 24},
    }


def test_readers_who_read_part_of_the_cases_in_every_arm_miss_none():
    read = np.ones((2, 3, 6), dtype=bool)
    for reader in range(3):
        read[:, reader, reader] = False
    assert note(read) == {"reads_not_assigned": {"n": 6, "total": 36}}


def test_cases_that_one_arm_does_not_have_are_not_missing():
    read = np.ones((2, 3, 6), dtype=bool)
    read[0, :, 4:] = False
    assert note(read) == {"reads_not_assigned": {"n": 6, "total": 36}}


def test_reads_of_one_arm_or_of_one_reader_only_are_missing():
    read = np.ones((2, 3, 6), dtype=bool)
    read[0, 1, 2] = False
    assert note(read) == {"reads_missing": {"n": 1, "total": 36}}
    read[1, 1, 2] = False
    assert note(read) == {"reads_missing": {"n": 2, "total": 36}}
    assert note(np.ones((2, 3, 6))) == {}


def test_a_case_that_an_arm_lacks_is_missing_where_other_reads_are_missing_too():
    """Hard cases left out in one arm: that nobody read one of them is no design."""
    read = np.ones((2, 3, 6), dtype=bool)
    read[0, :, 5] = read[0, 0, 4] = False
    assert note(read, arms=("unaided", "aided")) == {
        "reads_missing": {"n": 4, "total": 36},
        "reads_missing_by_arm": {"arms": ("unaided 4 of 18", "aided 0 of 18")},
    }


def test_practice_reads_are_excluded_and_not_missing():
    read = np.ones((2, 3, 6), dtype=bool)
    read[0, 0, :2] = read[1, 2, 3] = False
    practice = np.zeros_like(read)
    practice[0, 0, :2] = practice[1, 1, 1] = True  # the last was read again, and counts
    assert note(read, practice=practice) == {
        "reads_missing": {"n": 1, "total": 36},
        "reads_of_practice": {"n": 2, "total": 36},
    }


def one_arm_each():
    """Four readers who read each of six cases once, half of the cases in each arm."""
    turn = np.add.outer(np.arange(4), np.arange(6)) % 2
    return np.stack([turn == 0, turn == 1])


def test_a_reader_who_reads_each_case_in_one_arm_only_misses_no_read():
    assert note(one_arm_each(), arms=("unaided", "aided")) == {"reads_in_one_arm": {}}


def test_a_case_that_a_reader_read_in_no_arm_is_missing_once_where_each_is_read_in_one_arm():
    read = one_arm_each()
    read[:, 1, 4] = False
    assert note(read, arms=("unaided", "aided")) == {"reads_in_one_arm": {}, "reads_missing": {"n": 1, "total": 24}}


def test_groups_of_readers_who_read_a_case_in_one_arm_each_have_their_own_cases():
    read = one_arm_each()
    read[:, :2, 3:] = read[:, 2:, :3] = False
    assert note(read) == {"reads_in_one_arm": {}, "reads_in_groups": {"groups": 2, "n": 24, "total": 48}}


def test_arms_with_cases_of_their_own_keep_the_numbers_by_arm():
    read = np.zeros((2, 3, 6), dtype=bool)
    read[0, :, :3] = read[1, :, 3:] = True
    read[0, 0, 0] = False
    assert "reads_in_one_arm" not in note(read)
