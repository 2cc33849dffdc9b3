import numpy as np

from overread.simulation.acquisition import Acquisition
from overread.simulation.anatomy.airways import gas
from overread.simulation.anatomy.chest_shape import Patient, thorax
from overread.simulation.rays import Film, Grid

FILM = Film.under(Acquisition().beam, Grid(128, 0.32, 0.0, 0.6))


def test_windpipe_above_and_stomach_below_the_left_dome():
    body = thorax(Patient(anatomy=1))
    air = gas(body, FILM, rng=np.random.default_rng(2))
    above, below = FILM.y < -9, body.domes[1, 1] - body.domes[1, 4] < FILM.y
    assert np.abs(FILM.x[above & (air > 0.5)]).max() < 1.5
    assert 0.8 < air[above].max() < 1.6
    assert FILM.x[below & (air > 0.3)].min() > 0
