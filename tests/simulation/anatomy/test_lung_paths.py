import numpy as np
import pytest

from overread.simulation.anatomy.chest_shape import Patient, central, thorax
from overread.simulation.anatomy.lung_paths import cavity, lungs
from overread.simulation.rays import Beam, Film, Grid

FILM = Film.under(Beam(), Grid(96, 0.42, 0.0, 0.6))
BODY = thorax(Patient(anatomy=11))
DRY = np.tile([99.0, 0.0, 0.0, 1.0], (2, 1))


def lengths(fluid=DRY, collapsed=None, solids=None):
    parts = (BODY.walls, BODY.domes, central(BODY, 1.0, 0.0) if solids is None else solids)
    held = BODY.walls if collapsed is None else collapsed
    return lungs(FILM.u, FILM.v, FILM.beam, chest=parts, fluid=fluid, collapsed=held)


def test_lungs_lie_on_both_sides_above_the_domes():
    lung = lengths().lung
    left, right = lung[:, FILM.x[0] > 0], lung[:, FILM.x[0] < 0]
    assert 0.7 < left.sum() / right.sum() < 1.05  # the heart takes from the left
    assert lung[FILM.y > 17].max() == 0
    assert lung[np.abs(FILM.x) < 0.5].max() < 0.5 * lung.max()
    assert 10 < lung.max() < 20


def test_nothing_is_subtracted_where_nothing_is():
    air = lengths(solids=np.zeros((0, 12)))
    above = FILM.y < BODY.domes[:, 1].min() - BODY.domes[:, 4].max() - 3
    np.testing.assert_allclose(air.lung[above], air.outline[above])


def test_lung_only_thins_under_a_dome():
    """No lens: going down from the dome's top the lung gets thinner until it is gone, and never comes back."""
    lung = lengths(solids=np.zeros((0, 12))).lung
    column = int(np.argmin(np.abs(FILM.x[0] - BODY.domes[0, 0])))
    top = int(np.argmin(np.abs(FILM.y[:, column] - (BODY.domes[0, 1] - BODY.domes[0, 4]))))
    under = lung[top + 1 :, column]
    assert np.all(np.diff(under) <= 1e-9)
    assert under[-1] == 0
    assert under[3] < 0.6 * lung[top - 2, column]


def test_lung_air_and_fluid_share_one_cavity():
    wet, collapsed = DRY.copy(), BODY.walls.copy()
    wet[0] = (4.0, 3.0, 0.0, 2.5)
    collapsed[1, [1, 4, 6]] += (3.0, -2.0, -1.0)
    dry, sick = lengths(), lengths(wet, collapsed)
    np.testing.assert_allclose(sick.lung + sick.air + sick.fluid, dry.lung, atol=1e-9)
    assert sick.fluid[:, FILM.x[0] > 0].max() == 0
    assert sick.air[:, FILM.x[0] < 0].max() == 0
    assert sick.fluid.max() > 5
    assert sick.air.max() > 5


def test_fluid_climbs_at_the_chest_wall():
    wet = DRY.copy()
    wet[0] = (6.0, 4.0, 0.0, 1.0)
    air = lengths(wet)
    highest = [FILM.y[:, j][air.fluid[:, j] > 0.5 * (air.fluid + air.lung)[:, j].clip(1)].min() for j in (12, 25)]
    assert highest[0] < highest[1] - 1.0


def test_pleural_line_lies_on_the_edge_of_the_retracted_lung():
    collapsed = BODY.walls.copy()
    collapsed[0, [1, 4, 6]] += (3.0, -2.5, -1.0)
    air = lengths(collapsed=collapsed)
    row = 45
    line = int(np.argmax(air.pleura[row, :48]))
    assert air.air[row, line - 3] > 0.9 * (air.lung + air.air)[row, line - 3]
    assert air.lung[row, line + 3] > 0.5 * (air.lung + air.air)[row, line + 3]
    assert air.pleura[:, 50:].max() == 0


def test_cavity_is_empty_outside_its_walls():
    wall = BODY.walls[0]
    assert cavity(0.0, wall[1] - 1, wall)[0] == 0
    assert cavity(+7.0, 0.0, wall)[0] == 0
    half, place = cavity(-7.0, 5.0, wall)
    assert half == pytest.approx(wall[6], rel=0.15)
    assert 0.3 < place < 0.7
