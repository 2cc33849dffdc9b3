import copy
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread import findings
from overread.errors import InputError, WriteError, did_you_mean


def test_a_message_says_where_expected_found_examples_and_what_to_do():
    error = InputError("labels.csv", "known states", "3 rows", examples=["a", "b", "c", "d", "e", "f"], do="Mend it.")
    assert str(error) == "labels.csv: expected known states; found 3 rows (a, b, c, d, e, …). Mend it."


def test_a_long_example_keeps_its_start_and_its_end():
    message = str(InputError("reads", "one file", "two", examples=["/data/" + "x" * 400 + "/smith.csv"]))
    assert "(/data/xx" in message
    assert message.endswith("xx/smith.csv).")
    assert len(message) < 260


def test_many_problems_are_said_at_once_and_one_alone_stays_itself():
    one, two = InputError("a", "x", "y"), InputError("b", "x", "y")
    assert InputError.all([one]) is one
    assert str(InputError.all([one, two])).splitlines() == [
        "2 problems",
        "  1. a: expected x; found y.",
        "  2. b: expected x; found y.",
    ]


def test_did_you_mean_names_the_nearest_or_nothing():
    assert did_you_mean("edma", ["edema", "mass"]) == "Did you mean 'edema'?"
    assert did_you_mean("zzz", ["edema", "mass"]) == ""


def _raise(error):
    raise error


TEXT = st.text(max_size=20)
ERRORS = st.builds(
    lambda kind, where, expected, found, examples, do: kind(where, expected, found, examples=examples, do=do),
    st.sampled_from([InputError, WriteError]),
    TEXT,
    TEXT,
    TEXT,
    st.lists(TEXT, max_size=7),
    TEXT,
)


def parts(error):
    return type(error), str(error), error.where, error.expected, error.found, error.examples, error.do


@pytest.mark.slow
@given(st.lists(ERRORS, min_size=1, max_size=4))
def test_an_error_survives_pickling_and_copying_with_all_that_it_states(errors):
    joined = InputError.all(errors)
    for again in (pickle.loads(pickle.dumps(joined)), copy.copy(joined), copy.deepcopy(joined)):
        assert parts(again) == parts(joined)
        assert [parts(p) for p in again.problems] == [parts(e) for e in errors]


def test_a_worker_process_raises_it_in_the_parent():
    joined = InputError.all([InputError("a", "b", "c", examples=["x"], do="d."), WriteError("e", "f", "g")])
    with ProcessPoolExecutor(1) as pool, pytest.raises(InputError) as raised:
        pool.submit(_raise, joined).result(timeout=60)
    assert str(raised.value) == str(joined)
    assert [type(p) for p in raised.value.problems] == [InputError, WriteError]


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("Efusion", "Effusion"),
        ("atelectsais", "atelectasis"),
        ("Pnuemothorax", "pneumothorax"),
        ("pleural thickning", "pleural_thickening"),
        ("lungopacity", "lung_opacity"),
        ("oedema", "edema"),
        ("PAA", "PA"),
    ],
)
def test_a_near_spelling_of_the_same_word_is_named(word, known):
    assert did_you_mean(word, ["mass", known]) == f"Did you mean '{known}'?"


@pytest.mark.parametrize(
    "word",
    [
        "Calcification",
        "Empyema",
        "Hemothorax",
        "Hydropneumothorax",
        "Pericardial effusion",
        "Pleural plaque",
        "Fungal pneumonia",
        "Pneumonitis",
        "Bronchiectasis",
        "Cardiomyopathy",
        "Hepatomegaly",
        "Granuloma",
        "Infusion",
        "Diffusion",
        "Cirrhosis",
        "Anemia",
        "Scoliosis",
        "COVID-20",
        "Rib fracture",
        "Hilar mass",
        "Tuberculoma",
        "Pneumomediastinum",
        "Cavitation",
    ],
)
def test_another_disease_is_never_named(word):
    known = [w for f in findings.load().findings for w in f.words]
    assert did_you_mean(word, known) == ""


@given(st.sampled_from([n for n in findings.load().names() if min(map(len, n.split("_"))) > 3]), st.data())
def test_one_slip_of_the_pen_in_a_finding_is_understood(name, data):
    at = data.draw(st.sampled_from([i for i, c in enumerate(name) if c.isalpha()]))
    before, letter, after = name[:at], name[at], name[at + 1 :]
    written = data.draw(st.sampled_from([before + after, before + "q" + letter + after, before + "q" + after]))
    hint = did_you_mean(written, findings.load().names())
    assert hint == f"Did you mean '{name}'?"
