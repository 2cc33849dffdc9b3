from dataclasses import replace

import numpy as np
import pytest

from overread.simulation.acquisition import BONE, LUNG, SOFT, Acquisition, Device, acquire, attenuate, develop, expose


def test_beer_lambert_of_a_slab():
    slab = attenuate(np.array([0.0, 10.0]), np.array([0.0, 5.0]), np.array([0.0, 0.4]))
    assert slab[0] == 1.0
    assert slab[1] == pytest.approx(np.exp(-10 * SOFT) * np.exp(-5 * LUNG) * np.exp(-0.4 * BONE))


def test_air_is_thinner_than_lung_than_water_than_bone():
    assert 0 < LUNG < SOFT
    assert BONE > 0


def test_without_scatter_and_noise_the_log_signal_is_the_attenuation():
    ideal = replace(Device(), scatter=0.0, blur_cm=0.0, quanta=1e15)
    primary = np.exp(-np.linspace(1, 4, 64 * 64).reshape(64, 64))
    signal = expose(primary, np.ones((64, 64)), ideal, pitch=0.3, rng=np.random.default_rng(0))
    np.testing.assert_allclose(signal, -np.log(primary), atol=1e-5)


def test_quantum_noise_follows_poisson():
    device = replace(Device(), scatter=0.0, blur_cm=0.0, quanta=1e5)
    primary, pitch = np.full((256, 256), 0.05), 0.2
    signal = expose(primary, np.ones_like(primary), device, pitch=pitch, rng=np.random.default_rng(1))
    assert signal.std() == pytest.approx(1 / np.sqrt(1e5 * 0.05 * pitch**2), rel=0.03)


def test_scatter_adds_its_share_and_flattens():
    device = replace(Device(), scatter=0.5, blur_cm=0.0, quanta=1e15)
    flat = np.full((128, 128), 0.1)
    signal = expose(flat, np.ones_like(flat), device, pitch=0.3, rng=np.random.default_rng(0))
    np.testing.assert_allclose(np.exp(-signal), 0.15, rtol=1e-3)


def test_blur_keeps_the_sum_and_lowers_the_peak():
    point = np.full((65, 65), 0.01)
    point[32, 32] = 0.2
    device = replace(Device(), scatter=0.0, quanta=1e15, blur_cm=0.4)
    seen = np.exp(-expose(point, np.ones_like(point), device, pitch=0.2, rng=np.random.default_rng(0)))
    assert seen.max() < 0.05
    assert seen.sum() == pytest.approx(point.sum(), rel=1e-3)


def test_development_is_monotone_from_black_to_white():
    ramp = np.tile(np.linspace(0.5, 4.5, 100), (100, 1))
    grey = develop(ramp, np.ones_like(ramp), replace(Device(), edge=0.0), pitch=0.3)
    assert np.all(np.diff(grey[50]) >= 0)
    assert grey.min() >= 0
    assert grey.max() <= 1
    assert grey[50, 95] - grey[50, 5] > 0.7


def test_gamma_darkens_the_middle():
    ramp = np.tile(np.linspace(0.5, 4.5, 100), (100, 1))
    dark, light = (develop(ramp, np.ones_like(ramp), replace(Device(), gamma=g), pitch=0.3) for g in (1.6, 0.6))
    assert dark[50, 50] < light[50, 50] - 0.15


def test_bedside_pictures_are_taken_from_the_front():
    assert Acquisition(view="PA").beam.detector_in_front
    assert not Acquisition(view="AP").beam.detector_in_front
    heart_depth = 3.0
    pa, ap = (float(Acquisition(view=v).beam.magnify(heart_depth)) for v in ("PA", "AP"))
    assert ap / pa > 1.08


def test_acquire_draws_the_same_from_the_same_stream():
    first, again = (acquire(Device(), "AP", rng=np.random.default_rng(5)) for _ in range(2))
    assert first == again
    loose = [abs(acquire(Device(), "AP", rng=np.random.default_rng(k)).turn) for k in range(200)]
    tight = [abs(acquire(Device(), "PA", rng=np.random.default_rng(k)).turn) for k in range(200)]
    assert np.mean(loose) > 1.3 * np.mean(tight)
