import numpy as np
import pytest

from overread.simulation.anatomy.opacity_fields import clouds, patch_depth
from overread.simulation.disease_effects import Patch

X, Y = np.meshgrid(np.linspace(-12, 12, 121), np.linspace(-12, 12, 121))


def test_clouds_are_centred_with_unit_spread_and_do_not_depend_on_the_raster():
    values = np.concatenate([clouds(X, Y, np.random.default_rng(k), (1.6, 0.8, 0.45)).ravel() for k in range(10)])
    assert values.mean() == pytest.approx(0, abs=0.1)
    assert 0.6 < values.std() < 1.3
    fine = clouds(X, Y, np.random.default_rng(3), (3.0, 1.0))
    coarse = clouds(X[::4, ::4], Y[::4, ::4], np.random.default_rng(3), (3.0, 1.0))
    np.testing.assert_allclose(fine[::4, ::4], coarse)


def test_a_patch_lies_where_it_says_and_never_exceeds_the_lung():
    patch = Patch("consolidation", 3.0, -2.0, 4.0, 2.0, 0.5, 0.8, 6.0, 0.4)
    lung = np.full(X.shape, 5.0)
    depth = patch_depth(X, Y, patch, lung, rng=np.random.default_rng(0))
    away = np.hypot(X - 3, Y + 2)
    assert depth[away < 1].mean() > 2.5
    assert depth[away > 9].max() == 0
    assert depth.max() <= 0.8 * 0.8 * 5.0 + 1e-9
    assert patch_depth(X, Y, patch, 0 * lung, rng=np.random.default_rng(0)).max() == 0
