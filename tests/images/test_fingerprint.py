import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from overread.errors import InputError
from overread.images.fingerprint import ALIKE, NEAREST, correlation, fingerprints, near


def chest(seed, size=128):
    """A smooth picture with detail: noise at several scales."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size))
    for side, weight in ((4, 60), (8, 40), (16, 25), (32, 15)):
        coarse = Image.fromarray(rng.normal(0, weight, (side, side)).astype(np.float32))
        total += np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
    return np.clip(total + 128, 5, 250).astype(np.uint8)


def apart(a, b):
    return int(np.unpackbits((a ^ b).view(np.uint8)).sum())


def test_the_same_picture_in_other_clothes_is_near_and_alike():
    picture = chest(1)
    image = Image.fromarray(picture)
    held = io.BytesIO()
    image.save(held, "JPEG", quality=50)
    small = image.resize((90, 90), Image.Resampling.BILINEAR).resize((128, 128), Image.Resampling.BICUBIC)
    others = [np.asarray(Image.open(held)), np.asarray(small), (picture * 0.6 + 40).astype(np.uint8),
              (255 * (picture / 255) ** 0.8).astype(np.uint8)]  # fmt: skip
    prints = fingerprints(np.stack([picture, *others]))
    for k, other in enumerate(others, 1):
        assert apart(prints[0], prints[k]) <= NEAREST
        assert correlation(picture[None], other[None])[0] > ALIKE


def test_other_pictures_are_far():
    many = np.stack([chest(s) for s in range(60)])
    pairs, _ = near(fingerprints(many))
    assert len(pairs) == 0
    a, b = np.triu_indices(60, 1)
    assert correlation(many[a], many[b]).max() < 0.8


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 50), st.floats(0.3, 1.0), st.integers(0, 60))
def test_a_positive_affine_change_of_grey_changes_next_to_nothing(seed, scale, offset):
    picture = chest(seed)
    changed = np.clip(np.rint(picture * scale + min(offset, 255 * (1 - scale))), 0, 255).astype(np.uint8)
    one, other = fingerprints(np.stack([picture, changed]))
    assert apart(one, other) <= 12
    assert correlation(picture[None], changed[None])[0] > 0.99


def slow_near(prints, within):
    bits = np.unpackbits(prints.view(np.uint8), axis=1).astype(int)
    some = prints.any(1)
    return [
        (i, j, d)
        for i in range(len(prints))
        for j in range(i + 1, len(prints))
        if some[i] and some[j] and (d := int(np.abs(bits[i] - bits[j]).sum())) <= within
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(0, 256), st.integers(0, 10**6))
def test_the_search_equals_its_slow_twin(n, within, seed):
    rng = np.random.default_rng(seed)
    prints = rng.integers(0, 2**63, (n, 4), dtype=np.uint64)
    prints[rng.random(n) < 0.3] = prints[0]
    prints[rng.random(n) < 0.1] = 0
    pairs, distance = near(prints, within=within)
    assert [(*p, d) for p, d in zip(pairs.tolist(), distance.tolist(), strict=True)] == slow_near(prints, within)


def test_pictures_of_one_grey_are_like_none():
    flat = np.full((3, 64, 64), 7, np.uint8)
    prints = fingerprints(flat)
    assert not prints.any()
    assert len(near(prints)[0]) == 0
    assert np.isnan(correlation(flat[:1], flat[1:2])).all()


def test_the_size_need_not_divide():
    assert apart(*fingerprints(np.stack([chest(3, 100)] * 2))) == 0
    large = np.asarray(Image.fromarray(chest(3, 100)).resize((225, 225), Image.Resampling.BICUBIC))
    assert apart(fingerprints(chest(3, 100)[None])[0], fingerprints(large[None])[0]) <= 8


def test_small_pictures_are_refused():
    with pytest.raises(InputError, match=r"of at least 64 pixels; found an array \(2, 32, 32\)"):
        fingerprints(np.zeros((2, 32, 32), np.uint8))
