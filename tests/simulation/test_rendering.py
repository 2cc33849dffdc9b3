import numpy as np
import pytest

from overread.errors import InputError
from overread.simulation import FINDINGS, Acquisition, Patient, radiograph

pytestmark = pytest.mark.slow

SIZE = 128
# Where masks must lie: columns of the left picture half are the patient's right.
BRIGHTER = ("pleural_effusion", "consolidation", "nodule", "mass", "edema", "fibrosis")


def take(seed=0, size=SIZE, view="PA", anatomy=5, **severities):
    return radiograph(
        Patient(anatomy=anatomy),
        size=size,
        rng=np.random.default_rng(seed),
        acquisition=Acquisition(view=view),
        severities=severities,
    )


def test_the_same_seed_gives_the_same_picture_and_another_another():
    first, again, other = take(1, mass=0.5), take(1, mass=0.5), take(2, mass=0.5)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.masks["mass"], again.masks["mass"])
    assert (first.pixels != other.pixels).mean() > 0.1


def test_it_is_a_chest():
    picture = take().pixels.astype(float)
    corner, lung, heart, abdomen = (
        picture[4:10, 4:8],
        picture[45:65, 25:45],
        picture[75:90, 66:80],
        picture[115:125, 40:90],
    )
    assert corner.mean() < 0.5 * lung.mean()
    assert 15 < lung.mean() < 130
    assert heart.mean() > lung.mean() + 50
    assert abdomen.mean() > 190
    assert picture[40:80, 62:66].mean() > lung.mean() + 60  # the spine and mediastinum


def test_a_picture_is_the_same_at_any_size_but_for_noise():
    small, large = take(3, consolidation=0.7), take(3, 256, consolidation=0.7)
    shrunk = large.display.reshape(128, 2, 128, 2).mean(axis=(1, 3))
    assert np.abs(shrunk - small.display).mean() < 0.03
    assert np.corrcoef(shrunk.ravel(), small.display.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("finding", FINDINGS)
def test_the_mask_lies_in_the_chest_and_only_with_the_finding(finding):
    assert not take(4).masks
    sick = take(4, **{finding: 0.7})
    assert list(sick.masks) == [finding]
    mask = sick.masks[finding]
    assert 8 < mask.sum() < 0.4 * mask.size
    rows, columns = np.nonzero(mask)
    assert rows.min() > 8
    assert rows.max() < 115
    assert 8 < columns.min() < columns.max() < 120


@pytest.mark.parametrize("finding", BRIGHTER)
def test_severity_brightens_inside_the_mask(finding):
    rises = []
    for seed in range(4):
        none, some, much = (take(seed, **({finding: s} if s else {})) for s in (0.0, 0.4, 1.0))
        inside = some.masks[finding]
        rises.append([p.display[inside].mean() - none.display[inside].mean() for p in (some, much)])
    some_rise, much_rise = np.mean(rises, axis=0)
    assert some_rise > 0.005
    assert much_rise > some_rise


def test_pneumothorax_darkens_its_mask_and_grows():
    for seed in range(3):
        none, some, much = take(seed), take(seed, pneumothorax=0.35), take(seed, pneumothorax=0.9)
        inside = some.masks["pneumothorax"]
        assert some.display[inside].mean() < none.display[inside].mean() - 0.01
        assert much.masks["pneumothorax"].sum() > 1.25 * inside.sum()


def test_cardiomegaly_widens_the_heart():
    widths = [take(cardiomegaly=s).masks["cardiomegaly"].any(axis=0).sum() for s in (0.05, 0.4, 0.8, 1.0)]
    assert widths == sorted(widths)
    assert widths[-1] > 1.15 * widths[0]
    rows, columns = np.nonzero(take(cardiomegaly=0.5).masks["cardiomegaly"])
    assert columns.mean() > 64  # the heart lies to the patient's left, which is on the right of the picture
    assert rows.mean() > 64


def test_edema_is_on_both_sides_and_effusion_at_the_base():
    columns = np.nonzero(take(edema=0.8).masks["edema"])[1]
    assert 0.25 < (columns < 64).mean() < 0.75
    rows, _ = np.nonzero(take(pleural_effusion=0.3).masks["pleural_effusion"])
    assert rows.mean() > 80


def test_boxes_hold_the_mask():
    picture = take(2, mass=0.6, edema=0.5)
    box = picture.boxes("mass")[0]
    rows, columns = np.nonzero(picture.masks["mass"])
    assert (box.x, box.y) == (columns.min(), rows.min())
    assert (box.width, box.height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert len(picture.boxes("edema")) >= 2
    assert picture.boxes("nodule") == ()


def test_the_same_person_looks_the_same_on_another_day():
    first, later, stranger = take(1, anatomy=8), take(99, anatomy=8), take(1, anatomy=9)
    chest = np.s_[15:100, 15:113]
    same = np.corrcoef(first.display[chest].ravel(), later.display[chest].ravel())[0, 1]
    other = np.corrcoef(first.display[chest].ravel(), stranger.display[chest].ravel())[0, 1]
    assert same > 0.99 > other


def test_bad_requests_say_what_is_wrong():
    with pytest.raises(InputError, match="Did you mean 'nodule'"):
        take(nodul=0.5)
    with pytest.raises(InputError, match=r"from 0 .* to 1"):
        take(mass=1.5)
    with pytest.raises(InputError, match="at least 32"):
        take(size=8)
