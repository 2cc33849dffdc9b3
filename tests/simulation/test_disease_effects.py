import numpy as np
import pytest

from overread.simulation import FINDINGS, STRENGTH
from overread.simulation.anatomy.chest_shape import Patient, hila, thorax
from overread.simulation.disease_effects import disease, haze, raised

BODY = thorax(Patient(anatomy=4))


def plan(seed=0, supine=False, **severities):
    return disease(severities, BODY, supine=supine, rng=np.random.default_rng(seed))


def test_health_changes_nothing():
    sick = plan()
    assert sick.heart == 1.0
    assert not sick.enlarged
    assert sick.vessel_gain == 1.0
    assert not sick.patches
    assert len(sick.balls) == len(sick.lines) == 0
    np.testing.assert_array_equal(sick.collapsed, BODY.walls)
    np.testing.assert_array_equal(sick.lift, 0)
    assert sick.fluid[:, 1].max() == 0


def test_each_finding_keeps_its_place_when_another_is_added():
    alone, both = plan(7, nodule=0.5), plan(7, nodule=0.5, pleural_effusion=0.9, mass=0.4, consolidation=0.8)
    np.testing.assert_array_equal(alone.balls[0], both.balls[both.ball_findings.index("nodule")])


@pytest.mark.parametrize("seed", range(4))
def test_severity_grows_what_the_finding_does(seed):
    little, much = (dict.fromkeys(FINDINGS, s) for s in (0.2, 0.8))
    a, b = plan(seed, **little), plan(seed, **much)
    assert b.heart > a.heart > 1
    assert b.fluid[:, 0].min() < a.fluid[:, 0].min()  # the surface of the fluid stands higher
    assert b.collapsed[:, 1].max() > a.collapsed[:, 1].max()  # the apex of the lung has come down further
    assert sum(p.density * p.radius_x for p in b.patches) > sum(p.density * p.radius_x for p in a.patches)
    assert b.lift.max() > a.lift.max()
    assert b.haze > a.haze
    assert len(b.lines) > len(a.lines)


def test_nodules_are_smaller_than_masses():
    def radius(ball):
        return 1 / np.linalg.norm(ball[9:12])  # along the beam

    for severity in (0.1, 0.9):
        assert radius(plan(nodule=severity).balls[0]) < 1.35 < radius(plan(mass=severity).balls[0])


def test_lesions_lie_in_the_lung():
    for seed in range(20):
        x, y = plan(seed, nodule=0.5).balls[0][:2]
        wall = BODY.walls[int(x > 0)]
        assert abs(x) < wall[4]
        assert wall[1] < y < BODY.domes[int(x > 0), 1]


def test_lying_patients_have_veils_and_standing_ones_levels():
    assert plan(supine=True, pleural_effusion=0.6).fluid[:, 2].max() > 0.2
    assert plan(supine=False, pleural_effusion=0.6).fluid[:, 2].max() == 0


def test_edema_lies_round_the_lung_roots():
    root = hila(BODY)[0]
    near, far = (
        haze(np.array([[root[0] - 2.3]]), np.array([[root[1] + 2.2]]), BODY),
        haze(np.array([[-13.0]]), np.array([[-11.0]]), BODY),
    )
    assert near == pytest.approx(1.0)
    assert far < 0.05


def test_raised_domes_are_higher_by_the_lift():
    up = raised(BODY, np.array([1.5, 0.0]))
    np.testing.assert_allclose(BODY.domes[:, 1] - up.domes[:, 1], [1.5, 0.0])


def test_the_strength_of_every_finding_stands_in_one_place():
    assert set(STRENGTH) == set(FINDINGS)
