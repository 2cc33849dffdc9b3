import numpy as np

from overread.simulation.acquisition import Acquisition
from overread.simulation.anatomy.chest_shape import Patient, thorax
from overread.simulation.anatomy.vessel_trees import SMALLEST, tree, vessels
from overread.simulation.disease_effects import disease
from overread.simulation.rays import Film, Grid

BODY = thorax(Patient(anatomy=6))
FILM = Film.under(Acquisition().beam, Grid(128, 0.32, 0.0, 0.6))


def drawn(**severities):
    sick = disease(severities, BODY, supine=False, rng=np.random.default_rng(0))
    return vessels(BODY, sick, FILM, anatomy=6)


def test_branches_are_thinner_than_the_vessel_they_leave():
    pieces = tree(BODY, 6)
    ends = {tuple(np.round(p[1, :3], 6)): p[0, 3] for p in pieces}
    grown = [(ends[key], p[0, 3]) for p in pieces if (key := tuple(np.round(p[0, :3], 6))) in ends]
    assert len(grown) > 500
    parents, children = np.array(grown).T
    assert np.mean(children <= parents + 1e-12) > 0.98
    assert pieces[:, 0, 3].min() >= SMALLEST


def test_vessels_reach_all_of_both_lungs_and_thin_out_towards_the_wall():
    canvas = drawn()
    for side in (-1, 1):
        own = FILM.x * side > 0
        for low, high in ((-10, -4), (-4, 3), (3, 9)):
            assert (canvas[own & (low < FILM.y) & (high > FILM.y)] > 0).mean() > 0.2
    near, far = (np.abs(np.abs(FILM.x) - d) < 1.5 for d in (6, 12))
    assert canvas[near].mean() > 1.5 * canvas[far].mean()


def test_congestion_widens_and_pneumothorax_draws_in():
    assert drawn(edema=0.9).sum() > 1.3 * drawn().sum()
    edge = np.abs(FILM.x) > 11
    assert drawn(pneumothorax=0.8)[edge].sum() < 0.8 * drawn()[edge].sum()


def test_the_tree_is_the_persons_own():
    np.testing.assert_array_equal(tree(BODY, 6), tree(BODY, 6))
    assert len(tree(BODY, 6)) != len(tree(BODY, 7))
