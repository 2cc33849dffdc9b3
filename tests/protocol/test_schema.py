"""What a protocol may say, and how it is told what it may not."""

from pathlib import Path

import pytest

from overread.errors import InputError
from overread.protocol import load

ROOT = Path(__file__).resolve().parents[2]
SOUND = """
[study]
title = "T"
[sources.s]
reader = "simulate"
[sites]
internal = ["a", "b"]
external = ["c"]
[models.pooled]
sites = ["a", "b"]
role = "pooled"
[models.a]
sites = ["a"]
role = "single"
[models.b]
sites = ["b"]
role = "single"
"""


def written(tmp_path, text):
    path = tmp_path / "p.toml"
    path.write_text(text)
    return path


def refused(tmp_path, text):
    with pytest.raises(InputError) as error:
        load(written(tmp_path, text))
    return str(error.value)


def test_what_follows_from_elsewhere_is_derived_and_stated_once(tmp_path):
    protocol = load(written(tmp_path, SOUND.replace('title = "T"', 'title = "T"\nseed = 7\ntraining_seeds = [4, 5]')))
    assert protocol.evaluation.roles == {"pooled": "pooled", "single": {"a": "a", "b": "b"}}
    assert protocol.evaluation.members["a"] == ("a/seed-4", "a/seed-5")
    assert protocol.evaluation.external_sites == protocol.cohort.external_sites == ("c",)
    assert (protocol.evaluation.seed, protocol.cohort.seed, protocol.training.seed) == (7, 7, 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("[sites]", "[evaluation]\nspecificites = [0.9]\n[sites]"),
            "unknown key 'specificites'. Did you mean 'specificities'?",
        ),
        (("[sites]", "[training]\nepoch = 2\n[sites]"), "unknown key 'epoch'. Did you mean 'epochs'?"),
        (
            ('title = "T"', 'titel = "T"'),
            "[study]: expected known keys; found unknown key 'titel'. Did you mean 'title'?",
        ),
        (('title = "T"', 'titel = "T"'), "[study]: expected a key 'title'; found keys titel"),
        (("[sites]", "[governence]\n[sites]"), "unknown key 'governence'. Did you mean 'governance'?"),
        (("[sites]", "[evaluation]\nseed = 3\n[sites]"), "expected 'seed' to follow from the rest of the protocol"),
        (("[sites]", "[training]\nepochs = 'many'\n[sites]"), "epochs: "),
        (('sites = ["a"]', 'sites = ["aa"]'), "[models.a]: expected internal sites; found 'aa'"),
        (
            ('external = ["c"]', 'external = ["a"]'),
            "expected sites internal or external; found sites that are both (a)",
        ),
        (
            ('sites = ["a"]\nrole = "single"', 'sites = ["a", "b"]\nrole = "single"'),
            "one site for a single-institution model",
        ),
        (('role = "single"', 'role = "sngle"'), "role: "),
        (("[study]", "[study"), "expected TOML"),
    ],
)
def test_every_slip_is_said_with_what_was_meant(tmp_path, change, said):
    assert said in refused(tmp_path, SOUND.replace(*change, 1))


def test_all_problems_are_said_at_once(tmp_path):
    text = refused(tmp_path, SOUND.replace("[sites]", "[training]\nepoch = 2\n[evaluation]\nreplicats = 5\n[sites]"))
    assert "Did you mean 'epochs'" in text
    assert "Did you mean 'replicates'" in text


def test_a_file_that_is_not_there_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no file there"):
        load(tmp_path / "none.toml")


def test_the_hash_changes_with_any_line_and_not_with_a_comment(tmp_path):
    first = load(written(tmp_path, SOUND)).hash
    assert load(written(tmp_path, "# said\n" + SOUND)).hash == first
    assert load(written(tmp_path, SOUND.replace('"T"', '"U"'))).hash != first
    assert load(written(tmp_path, SOUND + "\n[evaluation]\nreplicates = 500\n")).hash != first


def test_statements_answer_checklists_and_leave_the_hash_alone(tmp_path):
    plain = load(written(tmp_path, SOUND))
    stated = load(written(tmp_path, SOUND + '[statements]\nfunding = "None."\n'))
    assert stated.statements == {"funding": "None."}
    assert stated.hash == plain.hash
    assert "statements" not in stated.resolved()
    said = refused(tmp_path, SOUND + '[statements]\nfundign = "None."\n')
    assert "[statements]" in said
    assert "'fundign'" in said
    assert "funding" in said


def test_fewer_than_two_external_sites_too_few_seeds_and_no_leave_are_warned_of(tmp_path):
    warnings = " ".join(load(written(tmp_path, SOUND.replace('"T"', '"T"\ntraining_seeds = [1]'))).warnings())
    assert "1 external site:" in warnings
    assert "1 training seed:" in warnings
    assert "neither an approval nor a waiver" in warnings


OWN = """
[training]
steps = 100
batch_size = 8
[models.gentle]
sites = ["a", "b"]
max_images = 50
[models.gentle.training]
augmentation = { noise = 0.0 }
learning_rate = 1e-4
"""


def test_a_model_has_keys_of_training_of_its_own(tmp_path):
    protocol = load(written(tmp_path, SOUND + OWN))
    gentle, pooled = (protocol.trainings[name] for name in ("gentle", "pooled"))
    assert (gentle.steps, gentle.batch_size, gentle.learning_rate, gentle.augmentation["noise"]) == (100, 8, 1e-4, 0.0)
    assert pooled == protocol.training
    assert protocol.models["gentle"].max_images == 50
    assert protocol.hash != load(written(tmp_path, SOUND + OWN.replace("1e-4", "2e-4"))).hash
    assert not any("H1 compares" in w for w in protocol.warnings())


def test_a_wrong_key_of_a_models_training_is_said_with_its_place(tmp_path):
    said = refused(tmp_path, SOUND + OWN.replace("learning_rate", "learning_rat"))
    assert "[models.gentle.training]: expected known keys; found unknown key 'learning_rat'. Did you mean" in said
    said = refused(tmp_path, SOUND + OWN.replace("1e-4", "-1"))
    assert "models.gentle.training.learning_rate: expected a number from 1e-08 to 10; found -1" in said
    said = refused(tmp_path, SOUND + OWN.replace("learning_rate = 1e-4", "seed = 3"))
    assert "[models.gentle.training]: expected 'seed' to follow from the rest of the protocol" in said
    matched = SOUND + '[models.m]\nsites = ["a", "b"]\nrole = "matched"\nmax_images = 20\n'
    said = refused(tmp_path, matched)
    assert "no max_images, which follows from the largest single-institution model; found 20" in said


def test_models_of_h1_that_are_trained_unequally_are_warned_of(tmp_path):
    warnings = load(written(tmp_path, SOUND)).warnings()
    assert any("for the same number of epochs" in w and "State [training] steps." in w for w in warnings)
    own = '[models.a]\nsites = ["a"]\ntraining = { ema = 0.9, steps = 50 }\n'
    unequal = SOUND.replace('[models.a]\nsites = ["a"]\n', own) + "[training]\nsteps = 100\n"
    assert "H1 compares models that are trained differently: steps, ema." in load(written(tmp_path, unequal)).warnings()


@pytest.mark.parametrize("name", ["protocols/real-four-sites.toml", "src/overread/protocols/demo.toml"])
def test_the_protocols_that_are_shipped_are_sound(name):
    protocol = load(ROOT / name)
    assert len(protocol.sites.external) == 2
    assert {m.role for m in protocol.models.values()} == {"pooled", "single", "matched"}


HOSTILE = [
    "../../home/precious",
    "/abs/path",
    ".",
    "..",
    "a/b",
    "a\\\\b",
    "cohort",
    "Models",
    "REPORT",
    "ledger.jsonl",
    "CON",
    "nul.txt",
    "a.",
    ".hidden",
    "-o",
    "a b",
    "é",
    "",
    "x" * 65,
    "protocol.toml",
    "a\\u0000b",
    ".cohort.part",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_source_whose_name_is_no_safe_folder_is_refused_by_load_check_and_run(tmp_path, name):
    from overread.protocol import check, run

    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "a").write_text("mine")
    path = written(tmp_path, SOUND.replace("[sources.s]", f'[sources."{name}"]'))
    for call in (lambda: load(path), lambda: check(path), lambda: run(path, tmp_path / "out")):
        with pytest.raises(InputError, match=r"sources\]?: expected (a name of letters A|text that can)"):
            call()
    assert not (tmp_path / "out").exists()
    assert (precious / "a").read_text() == "mine"


@pytest.mark.parametrize(
    "name", [n for n in HOSTILE if n.casefold() not in ("cohort", "models", "report", "ledger.jsonl", "protocol.toml")]
)
def test_a_model_whose_name_is_no_safe_folder_is_refused(tmp_path, name):
    said = refused(tmp_path, SOUND.replace("[models.pooled]", f'[models."{name}"]'))
    assert "[models]: expected a name of letters A to Z" in said or "models: expected text that can be written" in said


def test_names_that_differ_in_letter_case_only_are_refused(tmp_path):
    said = refused(tmp_path, SOUND + '[models.Pooled]\nsites = ["a"]\n[sources.S]\nreader = "simulate"\n')
    assert "[sources]: expected names that differ in more than letter case; found names that do not (S, s)" in said
    assert "(Pooled, pooled)" in said


def test_an_unknown_reader_or_option_is_refused_before_anything_is_read(tmp_path):
    assert "Did you mean 'table'?" in refused(tmp_path, SOUND.replace('"simulate"', '"tabel"'))
    text = SOUND.replace('"simulate"', '"nih14"\noptions = { sit = "a" }')
    assert "Did you mean 'site'?" in refused(tmp_path, text)


def test_a_protocol_without_models_is_refused_with_what_to_do(tmp_path):
    text = SOUND[: SOUND.index("[models.")]
    assert "expected at least one model; found none. Add [models.NAME]" in refused(tmp_path, text)


def simulating(tmp_path, options):
    return refused(tmp_path, SOUND + f"[sources.s.options]\n{options}\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("images_per_sit = { alder = 40 }", "Did you mean 'images_per_site'?"),
        ("finding = ['edema']", "Did you mean 'findings'?"),
        ("label_nois = 0", "Did you mean 'label_noise'?"),
        ("url = 'x'", "[sources.s.options]: expected one of the options images_per_site, size,"),
        ("prefix = 'a'", "found 'prefix'"),
        ("seed = 3", "found 'seed'"),  # that of the study, as are the following the caller's
        ("workers = 2", "found 'workers'"),
        ("out = 'elsewhere'", "found 'out'"),
    ],
)
def test_an_unknown_option_of_the_simulation_is_refused_with_the_nearest(tmp_path, options, said):
    assert said in simulating(tmp_path, options)


@pytest.mark.parametrize(
    "value",
    [
        "5",
        "true",
        "'ab'",
        "[1]",
        "['alder']",
        "1.5",
        "{}",
        "{ alder = 'x' }",
        "{ alder = 4.0 }",
        "{ alder = [1] }",
        "{ adler = 4 }",
    ],
)
def test_images_per_site_that_are_no_numbers_of_known_sites_are_refused(tmp_path, value):
    assert "[sources.s.options] images_per_site" in simulating(tmp_path, f"images_per_site = {value}")


@pytest.mark.parametrize("value", ["5", "'edema'", "{ edema = 1 }", "[]", "[5]", "[['edema']]", "['oedema']"])
def test_findings_that_are_no_list_of_known_ones_are_refused(tmp_path, value):
    assert "[sources.s.options] findings: expected" in simulating(tmp_path, f"findings = {value}")


@pytest.mark.parametrize("option", ["size", "site_differences", "label_noise"])
@pytest.mark.parametrize("value", ["'64'", "[64]", "{}", "true", "-1", "1e9"])
def test_numbers_of_the_simulation_that_are_none_or_absurd_are_refused(tmp_path, option, value):
    assert f"[sources.s.options] {option}: expected a " in simulating(tmp_path, f"{option} = {value}")


def test_no_site_and_no_finding_do_not_mean_all_and_every_fault_is_said_at_once(tmp_path):
    said = simulating(tmp_path, "images_per_site = {}\nfindings = []\nsize = 64.0\nsit = 1")
    assert "at least one site among alder" in said
    assert "at least one finding of those" in said
    assert "size: expected a whole number from 32 to 4,096; found 64.0" in said
    assert "found 'sit'" in said


def test_sound_options_of_the_simulation_are_taken(tmp_path):
    options = (
        "images_per_site = { alder = 4 }\nfindings = ['edema']\nsize = 64\nlabel_noise = 0\nsite_differences = 1.5"
    )
    text = SOUND + f"[sources.s.options]\n{options}\n"
    assert load(written(tmp_path, text)).sources["s"].options["images_per_site"] == {"alder": 4}
