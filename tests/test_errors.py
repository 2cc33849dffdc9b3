from overread.errors import InputError, did_you_mean


def test_a_message_says_where_expected_found_examples_and_what_to_do():
    error = InputError("labels.csv", "known states", "3 rows", examples=["a", "b", "c", "d", "e", "f"], do="Mend it.")
    assert str(error) == "labels.csv: expected known states; found 3 rows (a, b, c, d, e, …). Mend it."


def test_many_problems_are_said_at_once_and_one_alone_stays_itself():
    one, two = InputError("a", "x", "y"), InputError("b", "x", "y")
    assert InputError.all([one]) is one
    assert str(InputError.all([one, two])).splitlines() == [
        "2 problems", "  1. a: expected x; found y.", "  2. b: expected x; found y.",
    ]  # fmt: skip


def test_did_you_mean_names_the_nearest_or_nothing():
    assert did_you_mean("edma", ["edema", "mass"]) == "Did you mean 'edema'?"
    assert did_you_mean("zzz", ["edema", "mass"]) == ""
