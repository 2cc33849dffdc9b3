from dataclasses import replace

import numpy as np
import pytest

from overread.simulation.acquisition import Acquisition, Device
from overread.simulation.film_marks import LETTERS, collimate, label, write
from overread.simulation.sites import SITES


def test_letters_are_white_and_as_high_as_asked():
    picture = np.zeros((200, 200))
    write(picture, "L", place=(0.2, 0.3), height=0.2)
    rows, columns = np.nonzero(picture > 0.5)
    assert picture.max() == pytest.approx(0.97)
    assert rows.max() - rows.min() == pytest.approx(40, abs=6)
    assert columns.min() == pytest.approx(40, abs=3)


def test_every_marker_and_word_can_be_written():
    for site in SITES:
        assert set(site.device.marker) <= set(LETTERS)
    assert set("PORTABLE") | set("AP") <= set(LETTERS)


def test_sites_are_told_apart_by_their_markers():
    pictures = []
    for site in SITES:
        picture = np.zeros((128, 128))
        label(picture, Acquisition(device=site.device, view="AP"), rng=np.random.default_rng(0))
        pictures.append(picture > 0.5)
    assert all(p.any() for p in pictures)
    for i in range(5):
        for j in range(i):
            assert (pictures[i] & pictures[j]).sum() < 0.9 * (pictures[i] | pictures[j]).sum()


def test_collimation_blackens_the_share_it_says():
    picture = np.ones((100, 100))
    collimate(picture, Acquisition(collimation=(0.1, 0.0, 0.0, 0.2)), rng=np.random.default_rng(0))
    assert picture[:78, :8].max() == 0
    assert picture[82:].max() == 0
    assert picture[:78, 12:].min() == 1


def test_bedside_words_only_on_bedside_pictures():
    device = replace(Device(), marker_style="circled")
    drawn = {}
    for view in ("PA", "AP"):
        drawn[view] = np.zeros((128, 128))
        label(drawn[view], Acquisition(device=device, view=view), rng=np.random.default_rng(0))
    corner = np.s_[:12, :40]
    assert drawn["PA"][corner].max() == 0
    assert drawn["AP"][corner].max() > 0.3
