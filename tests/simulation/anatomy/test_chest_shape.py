import numpy as np

from overread.simulation.acquisition import Acquisition
from overread.simulation.anatomy.chest_shape import Patient, central, hila, thorax, trunk, turned
from overread.simulation.anatomy.skeleton import bones, rib, vertebra_y
from overread.simulation.rays import Film, Grid

FILM = Film.under(Acquisition().beam, Grid(100, 0.4, 0.0, 0.6))


def heart_width(body, film=FILM, grow=1.0):
    from overread.simulation.rays import chords

    shadow = chords(central(body, grow, 0.0)[:3], film.u, film.v, film.beam).max(axis=0) > 0
    return shadow.sum() * film.grid.pitch


def test_the_same_person_is_the_same_and_another_is_another():
    same, again, other = (thorax(Patient(anatomy=k)) for k in (1, 1, 2))
    np.testing.assert_array_equal(same.walls, again.walls)
    assert not np.allclose(same.walls, other.walls)


def test_inspiration_lowers_the_domes_and_age_unfolds_the_aorta():
    deep, shallow = (thorax(Patient(), inspiration=i) for i in (1.0, 0.4))
    assert np.all(deep.domes[:, 1] > shallow.domes[:, 1] + 1)
    young, old = (thorax(Patient(age_years=a)) for a in (25.0, 85.0))
    assert old.aorta > young.aorta + 0.5
    assert old.bone < young.bone


def test_usual_hearts_are_less_than_half_as_wide_as_the_chest():
    ratios = []
    for k in range(40):
        body = thorax(Patient(anatomy=k, age_years=40.0))
        ratios.append(heart_width(body) / (2 * body.walls[0, 4] * float(FILM.beam.magnify(0.0))))
    assert 0.40 < np.median(ratios) < 0.49
    assert np.mean(np.array(ratios) < 0.5) > 0.9


def test_the_heart_is_cast_larger_from_the_front():
    body, bedside = thorax(Patient()), Film.under(Acquisition(view="AP").beam, FILM.grid)
    assert heart_width(body, bedside) > 1.04 * heart_width(body)


def test_women_have_breasts_and_the_obese_more_of_everything():
    slim, large = (trunk(thorax(Patient(bmi=b)), FILM).sum() for b in (20.0, 36.0))
    assert large > 1.15 * slim
    woman, man = (trunk(thorax(Patient(sex=s, anatomy=3)), FILM) for s in "FM")
    region = (np.abs(FILM.x + 9) < 3) & (np.abs(FILM.y - 7) < 2)
    assert woman[region].mean() > man[region].mean() + 0.5


def test_arms_and_dark_air_beside_the_chest():
    body = trunk(thorax(Patient(anatomy=1)), Film.under(Acquisition().beam, Grid(120, 0.45, 0.0, 4.0)))
    row = body[95]
    assert row[0:12].max() > 2  # an arm
    assert (row[: len(row) // 2] < 0.3).any()  # air between arm and chest


def test_turning_moves_front_and_back_apart():
    front, back = turned(np.array([[0.0, 0.0, 9.0], [0.0, 0.0, -7.0]]), 0.1)
    assert front[0] > 0.5 > -0.5 > back[0]


def test_ribs_fall_towards_the_front_and_are_mirrored():
    body = thorax(Patient(anatomy=2))
    for number in range(10):
        right, left = rib(body, number, -1.0), rib(body, number, 1.0)
        assert right[-1, 1] > right[0, 1] + 2
        assert right[0, 2] < 0 < right[-1, 2]
        np.testing.assert_allclose(np.abs(right[8:, 0]), np.abs(left[8:, 0]), atol=1.2)


def test_bones_are_hollow_and_where_they_should_be():
    body = thorax(Patient(anatomy=2))
    canvas = bones(body, FILM)
    assert 0 < np.median(canvas[canvas > 0]) < 0.6
    spine = canvas[:, 49:51].mean()
    assert spine > 1.2 * canvas[:, 38:42].mean()
    assert np.all(np.diff(vertebra_y(np.arange(-3, 17))) > 1.5)


def test_lung_roots_lie_beside_the_midline():
    right, left = hila(thorax(Patient()))
    assert right[0] < -2
    assert left[0] > 2
    assert left[1] < right[1]
