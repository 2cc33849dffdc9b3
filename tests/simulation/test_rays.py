import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.simulation.rays import Beam, Film, Grid, chords, ellipsoid, fill, subtract, sweep, sweep_pieces

PARALLEL = Beam(1e9, 0.0)


def at(u, v):
    return np.array([[float(u)]]), np.array([[float(v)]])


def chord(body, u, v, beam=PARALLEL):
    return float(chords(body[None], *at(u, v), beam)[0, 0])


def test_chord_through_a_sphere_is_twice_the_root_of_r2_minus_d2():
    ball = ellipsoid((1.0, 2.0, -3.0), (5.0, 5.0, 5.0))
    assert chord(ball, 1.0, 2.0) == pytest.approx(10.0)
    assert chord(ball, 4.0, 2.0) == pytest.approx(8.0)
    assert chord(ball, 4.0, 6.0) == pytest.approx(0.0, abs=1e-2)  # grazing
    assert chord(ball, 9.0, 2.0) == 0.0


def test_chord_through_a_turned_ellipsoid():
    # Turned by a right angle the long axis lies along y.
    body = ellipsoid((0.0, 0.0, 0.0), (4.0, 1.0, 2.0), np.pi / 2)
    assert chord(body, 0.0, 3.9) > 0
    assert chord(body, 1.1, 0.0) == 0.0
    # On the axis y = 2 = half of 4 the depth is 2 * 2 * sqrt(1 - 1/4).
    assert chord(body, 0.0, 2.0) == pytest.approx(4.0 * np.sqrt(0.75))


def test_chord_of_a_slanted_ray_agrees_with_marching_along_it():
    body, beam = ellipsoid((3.0, -2.0, 4.0), (5.0, 3.0, 6.0), 0.7), Beam(60.0, 12.0, True)
    u, v = 5.1, -3.0
    a, b = beam.line
    z = np.linspace(-20, 20, 400_001)
    points = np.stack([u * (a + b * z), v * (a + b * z), z], axis=1)
    inside = np.sum(((points - body[:3]) @ body[3:].reshape(3, 3).T) ** 2, axis=1) < 1
    slow = inside.sum() * np.linalg.norm(points[1] - points[0])
    assert chord(body, u, v, beam) == pytest.approx(slow, rel=1e-4)


@pytest.mark.slow
@given(st.floats(1, 8), st.floats(1, 8), st.floats(1, 8), st.floats(-3, 3))
def test_chords_over_the_film_add_up_to_the_volume(rx, ry, rz, turn):
    film = Film.under(PARALLEL, Grid(160, 0.12))
    total = chords(ellipsoid((0, 0, 0), (rx, ry, rz), turn)[None], film.u, film.v, PARALLEL).sum() * 0.12**2
    assert total == pytest.approx(4 / 3 * np.pi * rx * ry * rz, rel=0.03)


def test_magnification_is_that_of_similar_triangles():
    # Source 180 cm from the film, the thing 14 + 6 cm from it (behind the middle, film in front).
    assert float(Beam(180.0, 14.0, True).magnify(-6.0)) == pytest.approx(180.0 / 160.0)
    assert float(Beam(110.0, 14.0, False).magnify(-6.0)) == pytest.approx(110.0 / 102.0)


def test_pixels_is_the_inverse_of_rays():
    grid = Grid(9, 0.7, 1.0, -2.0, 0.3)
    column, row = grid.pixels(*grid.rays())
    rows, columns = np.mgrid[:9, :9]
    np.testing.assert_allclose(column, columns, atol=1e-12)
    np.testing.assert_allclose(row, rows, atol=1e-12)


def test_swept_tube_has_the_chord_of_a_cylinder():
    film = Film.under(PARALLEL, Grid(201, 0.05))
    canvas = film.blank()
    sweep(canvas, film, np.array([(-20.0, 0.0, 0.0), (20.0, 0.0, 0.0)]), 2.0)
    away = np.abs(film.y[:, 100])
    np.testing.assert_allclose(canvas[:, 100], 2 * np.sqrt(np.clip(4 - away**2, 0, None)), atol=1e-9)


def test_slanted_tube_is_longer_along_the_ray_by_the_sine():
    film = Film.under(PARALLEL, Grid(101, 0.1))
    canvas = film.blank()
    sweep(canvas, film, np.array([(-20.0, 0.0, -20.0), (20.0, 0.0, 20.0)]), 1.0)
    assert canvas[50, 50] == pytest.approx(2.0 * np.sqrt(2))


def test_a_tube_keeps_its_volume_however_it_bends_or_thins_below_a_pixel():
    film = Film.under(PARALLEL, Grid(200, 0.1))
    turn = np.linspace(0, 3, 40)
    curve = np.stack([5 * np.cos(turn), 5 * np.sin(turn), 2 * turn], axis=1)
    length = np.sqrt((np.diff(curve, axis=0) ** 2).sum(axis=1)).sum()
    for radius in (1.0, 0.3, 0.03):
        canvas = film.blank()
        sweep(canvas, film, curve, radius)
        assert canvas.sum() * 0.01 == pytest.approx(np.pi * radius**2 * length, rel=0.02 if radius > 0.1 else 0.06)


def test_a_tube_towards_the_source_keeps_its_volume():
    film = Film.under(PARALLEL, Grid(100, 0.1))
    canvas = film.blank()
    sweep_pieces(canvas, film, np.array([[[0.0, 0.0, -3.0, 1.0], [0.0, 0.0, 3.0, 1.0]]]))
    assert canvas.sum() * 0.01 == pytest.approx(np.pi * 6.0, rel=0.02)
    assert canvas.max() == pytest.approx(6.0, rel=0.01)


def test_fill_covers_the_polygon():
    film = Film.under(PARALLEL, Grid(100, 0.1))
    canvas = film.blank()
    fill(canvas, film, np.array([(-2.0, -1.0, 0.0), (2.0, -1.0, 0.0), (2.0, 1.0, 0.0), (-2.0, 1.0, 0.0)]), 0.5)
    assert canvas.sum() * 0.01 == pytest.approx(8.0 * 0.5, rel=0.03)
    assert set(np.unique(canvas)) == {0.0, 0.5}


def left_after(pieces, near, far):
    buffer = np.zeros((6, 2))
    buffer[: len(pieces)] = np.reshape(pieces, (-1, 2))
    return buffer[: subtract(buffer, len(pieces), near, far)].tolist()


@pytest.mark.slow
def test_subtract_intervals():
    assert left_after([(0, 10)], 4, 6) == [[0, 4], [6, 10]]
    assert left_after([(0, 10)], -1, 6) == [[6, 10]]
    assert left_after([(0, 10)], 6, 12) == [[0, 6]]
    assert left_after([(0, 10)], -1, 12) == []
    assert left_after([(0, 2), (4, 6)], 1, 5) == [[0, 1], [5, 6]]
    assert left_after([(0, 2)], 3, 3) == [[0, 2]]


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), max_size=4))
def test_subtract_leaves_what_a_fine_comb_leaves(cuts):
    teeth = np.linspace(-5, 5, 2001)
    pieces, kept = [[-5.0, 5.0]], np.ones(len(teeth), dtype=bool)
    for near, far in cuts:
        pieces = left_after(pieces, near, far)
        kept &= ~((teeth >= near) & (teeth <= far))
    assert sum(far - near for near, far in pieces) == pytest.approx(kept.mean() * 10, abs=0.06)
