"""What every command offers: help that is whole on any terminal, `--set` beside `--config`, completion."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from overread import cli, findings, runs
from overread.cli import application
from overread.cli.arguments import configuration, vocabulary
from overread.cohort import CohortConfig
from overread.errors import InputError, did_you_mean
from overread.evaluation import EvaluationConfig
from overread.protocol.validation import SECTIONS
from overread.training.training_config import TrainingConfig

GROUP = typer.main.get_command(cli.app)
COMMANDS = GROUP.commands
COMMAND = Path(sys.executable).parent / "overread"

# The section that the configuration file of each command holds.
SECTION_OF = {
    "check": "evaluation",
    "cohort": "cohort",
    "deidentify": "deidentification",
    "splits": "cohort",
    "sample": "sample",
    "train": "training",
    "evaluate": "evaluation",
}


def options(command):
    return {name for parameter in command.params for name in parameter.opts}


WITH_CONFIG = sorted(name for name, command in COMMANDS.items() if "--config" in options(command))


def required(name, folder):
    """The arguments that a command must be given, each of them a file or folder that is there."""
    (folder / "t.csv").write_text("image_id,patient_id\n1,1\n")
    words = []
    for parameter in COMMANDS[name].params:
        if parameter.required:
            option = next((o for o in parameter.opts if o.startswith("--")), None)
            value = (
                str(folder / "out") if option == "--out" else str(folder if option == "--root" else folder / "t.csv")
            )
            words += [option, value] if option else [value]
    return words


def test_the_commands_with_a_configuration_are_those_of_the_table_above():
    assert sorted(SECTION_OF) == WITH_CONFIG


@pytest.mark.parametrize("name", WITH_CONFIG)
def test_every_command_with_a_configuration_takes_set_for_its_section(name, tmp_path):
    assert "--set" in options(COMMANDS[name])
    section = SECTION_OF[name]
    key = sorted(SECTIONS[section].__dataclass_fields__)[0]
    slip = key[:-1] if len(key) > 4 else key + "x"
    hint = did_you_mean(slip, SECTIONS[section].__dataclass_fields__)
    assert hint
    for given in (["--set", f"{slip}=1"], ["--config", str(tmp_path / "c.toml")]):
        (tmp_path / "c.toml").write_text(f"[{section}]\n{slip} = 1\n")
        with pytest.raises(InputError) as refused:
            CliRunner().invoke(cli.app, [name, *required(name, tmp_path), *given], catch_exceptions=False)
        assert str(refused.value) == f"{section}: expected known keys; found unknown key '{slip}'. {hint}"
    assert not (tmp_path / "out").exists()


def test_set_takes_the_place_of_the_file_and_an_option_cannot_contradict_it(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[training]\nepochs = 7\nbatch_size = 8\n[training.augmentation]\nnoise = 0.5\nblur = 0.5\n")
    made = configuration(TrainingConfig, "training", file, ["epochs=3", "augmentation.noise=0.0"], {"seed": 4})
    assert (made.epochs, made.batch_size, made.seed) == (3, 8, 4)
    assert (made.augmentation["noise"], made.augmentation["blur"]) == (0.0, 0.5)
    assert configuration(EvaluationConfig, "evaluation", None, ["replicates=177"]).replicates == 177
    for changes, given, message in (
        (["epochs=3"], {"epochs": 4}, "--set epochs: expected a value given once; found it is also given by an option"),
        (["epochs"], {}, "expected KEY=VALUE, such as epochs=5; found 'epochs'"),
        (["epochs.x=1"], {}, "--set epochs.x: expected 'epochs' to be a section"),
        (["training.epochs=3", "epochs=4"], {}, "--set epochs: expected a value given once; found it is given twice"),
        (["training.epochs=3"], {"epochs": 4}, "--set epochs: expected a value given once; found it is also given"),
        (["findings=mass"], {}, "training: expected findings: a list, such as [\"mass\"]; found 'mass'"),
        (["epochs=many"], {}, "training: expected epochs: a whole number"),
        (['findings=[["mass"]]'], {}, "training [findings]: expected item 1: text; found ['mass']"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            configuration(TrainingConfig, "training", file, changes, given)


def test_the_form_that_a_refused_group_difference_names_is_accepted():
    for given in ("sex: F - M", "age_band: 60-79 − 18-39"):
        made = configuration(EvaluationConfig, "evaluation", None, [f'group_differences=["{given}"]'])
        assert made.group_differences == (given,)
    for wrong in ("sex F M", "sex: F-M", "sex: F - M - X"):
        with pytest.raises(InputError, match="1 of another form") as refused:
            configuration(EvaluationConfig, "evaluation", None, [f'group_differences=["{wrong}"]'])
        named = re.search('"(.+?)"', str(refused.value)).group(1)
        assert EvaluationConfig(group_differences=(named,)).difference_names() == [("sex", "F", "M")]
    with pytest.raises(InputError) as refused:  # a list for a pair has no example that could be wrong as well
        configuration(EvaluationConfig, "evaluation", None, ['subgroup_intersections=["sex"]'])
    assert str(refused.value) == "evaluation [subgroup_intersections]: expected item 1: a list; found 'sex'."


@pytest.mark.parametrize("section", sorted({*SECTION_OF.values()}))
def test_a_key_may_have_the_section_of_its_command_in_front_and_the_example_works(section):
    with pytest.raises(InputError, match="KEY=VALUE, such as ") as refused:
        configuration(SECTIONS[section], section, None, ["x"])
    example = re.search("such as ([^;]+);", str(refused.value)).group(1)
    made = configuration(SECTIONS[section], section, None, [example])
    assert made == configuration(SECTIONS[section], section, None, [f"{section}.{example}"])
    assert made != configuration(SECTIONS[section], section, None, None)


OWN = '[findings.extra]\ngoitre = { title = "Goitre" }\n'


@pytest.mark.parametrize("name", WITH_CONFIG)
def test_every_command_with_a_configuration_takes_findings_of_ones_own(name, tmp_path):
    kind, file = SECTIONS[SECTION_OF[name]], tmp_path / "c.toml"
    for text in (OWN, f"[{SECTION_OF[name]}]\n{OWN}"):
        file.write_text(text)
        made = configuration(kind, SECTION_OF[name], file, None)
        if "vocabulary" in kind.__dataclass_fields__:
            assert made.vocabulary.title("goitre") == "Goitre"
    file.write_text('[findings.extra]\nmass = { title = "Mass" }\n')
    given = ["--config", str(file)]
    with pytest.raises(InputError, match=r"c.toml \[findings\], extra: expected names that"):
        CliRunner().invoke(cli.app, [name, *required(name, tmp_path), *given], catch_exceptions=False)
    assert not (tmp_path / "out").exists()


def test_check_and_cohort_take_findings_of_ones_own_by_their_titles(tmp_path):
    (tmp_path / "labels.csv").write_text("case_id,Goitre\n1,1\n")
    (tmp_path / "images.csv").write_text("image_id,patient_id,site,path\n1,1,a,1.png\n")
    own = ["--extra-findings", "Goitre"]
    for given in (
        ["check", str(tmp_path / "labels.csv")],
        ["cohort", "--images", str(tmp_path / "images.csv"), "--labels", str(tmp_path / "labels.csv"),
         "--root", str(tmp_path), "-o", str(tmp_path / "out")],
    ):  # fmt: skip
        with pytest.raises(InputError, match="--extra-findings"):  # what the message recommends is an option
            CliRunner().invoke(cli.app, given, catch_exceptions=False)
        if given[0] == "check":
            shown = CliRunner().invoke(cli.app, [*given, *own], catch_exceptions=False).output
            assert "column 'Goitre': finding goitre" in " ".join(shown.split())
        else:
            with pytest.raises(
                InputError, match="expected a radiograph; found no file there"
            ):  # the labels are accepted
                CliRunner().invoke(cli.app, [*given, *own], catch_exceptions=False)
    (tmp_path / "c.toml").write_text("[evaluation]\nseed = 3\n")
    with pytest.raises(InputError, match="Leave --config and --extra-findings out"):
        CliRunner().invoke(cli.app, ["check", str(tmp_path / "c.toml"), *own], catch_exceptions=False)


def test_set_names_findings_of_ones_own_but_states_no_vocabulary(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('findings = ["mass"]\nreplicates = 100\n')
    assert configuration(EvaluationConfig, "evaluation", file, None).vocabulary is findings.load("chest")
    file.write_text(OWN)
    made = configuration(EvaluationConfig, "evaluation", file, ['findings=["goitre"]', "seed=4"])
    assert (made.findings, made.seed) == (("goitre",), 4)
    with pytest.raises(InputError, match="expected names of the vocabulary; found 'goitre'"):
        configuration(EvaluationConfig, "evaluation", None, ['findings=["goitre"]'])
    with pytest.raises(InputError, match="expected 'vocabulary' to follow from the rest"):
        configuration(EvaluationConfig, "evaluation", file, ["vocabulary=chest"])


def test_the_vocabulary_of_a_cohort_holds_and_a_file_cannot_contradict_it(tmp_path):
    words = findings.stated({"extra": {"goitre": {"title": "Goitre"}}}, "c")
    cohort, file = tmp_path / "k", tmp_path / "c.toml"
    with runs.start(cohort, "cohort", config=CohortConfig(vocabulary=words)):
        pass
    made = configuration(TrainingConfig, "training", None, ['findings=["goitre"]'], words=vocabulary(None, cohort))
    assert made.vocabulary == words
    file.write_text(OWN + 'hernia_repair = { title = "Hernia repair", synonyms = ["Mesh"] }\n')
    assert "hernia_repair" in vocabulary(file, cohort).names()
    for name, text in (("train", OWN.replace("Goitre", "Struma")), ("sample", '[findings]\nvocabulary = "chest"\n')):
        file.write_text(text)
        given = [name, str(cohort), "--out", str(tmp_path / "out"), "--config", str(file)]
        with pytest.raises(InputError, match=r"1 that are missing or defined otherwise.*goitre"):
            CliRunner().invoke(cli.app, given, catch_exceptions=False)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_no_help_is_cut_off_or_wider_than_the_terminal(name, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    shown = CliRunner().invoke(cli.app, [*([name] if name else []), "--help"], terminal_width=width)
    assert shown.exit_code == 0
    assert "…" not in shown.output
    assert "..." not in shown.output.replace("[ARGS]...", "").replace("{SOURCE}...", "")
    assert max(map(len, shown.output.splitlines())) <= width
    words = " ".join(shown.output.split())
    command = COMMANDS[name] if name else GROUP
    for parameter in command.params:
        text = " ".join((getattr(parameter, "help", None) or "").split())
        assert re.sub("[- ]", "", text) in re.sub("[- ]", "", words), parameter.name
    summaries = [c.short_help for c in COMMANDS.values()] if not name else [command.help]
    for summary in summaries:
        assert " ".join(summary.split()) in words


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text_that_is_a_sentence(name):
    for parameter in COMMANDS[name].params:
        assert parameter.help, parameter.name
        assert parameter.help.endswith("."), parameter.help
    assert COMMANDS[name].short_help.endswith(".")


@pytest.mark.slow
def test_completion_offers_commands_and_options():
    assert {"--install-completion", "--show-completion", "--version"} <= options(GROUP)
    environment = os.environ | {
        "_OVERREAD_COMPLETE": "complete_bash",
        "COMP_WORDS": "overread pre",
        "COMP_CWORD": "1",
    }
    done = subprocess.run([COMMAND], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["predict"]
    script = subprocess.run(
        [COMMAND, "--show-completion", "bash"],
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "_OVERREAD_COMPLETE=complete_bash" in script


@pytest.mark.slow
def test_the_help_is_shown_without_loading_what_the_commands_need():
    code = (
        "import sys\nsys.argv = ['overread', '--help']\nfrom overread.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "heavy = ('numpy', 'polars', 'scipy', 'numba', 'torch', 'matplotlib', 'pydantic', 'dataframely')\n"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_no_function_has_the_name_of_its_module():
    for function in application.COMMANDS:
        assert function.__module__.rpartition(".")[2] != function.__name__


@pytest.mark.parametrize("name", COMMANDS)
def test_an_argument_is_shown_in_capitals_and_a_network_by_its_name(name):
    shown = CliRunner().invoke(cli.app, [name, "--help"], terminal_width=120).output
    for parameter in COMMANDS[name].params:
        if not any(option.startswith("-") for option in parameter.opts):
            assert f"{{{parameter.name.upper()}}}" in shown.splitlines()[0]
    assert name != "train" or "densenet-tiny" in shown
