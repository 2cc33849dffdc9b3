"""What a contributor is given: checks of every change, templates, and pages that name files which exist."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def _yaml(*names):
    return yaml.safe_load(ROOT.joinpath(*names).read_text("utf-8"))


WORKFLOW = _yaml(".github", "workflows", "test.yml")
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
COMMANDS = " ".join(step["run"] for step in STEPS if "run" in step)


def test_every_supported_python_is_tested_on_linux_and_macos():
    matrix = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]
    classifiers = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert matrix["python"] == classifiers
    assert PROJECT["project"]["requires-python"] == f">={classifiers[0]}"
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos"}


def test_a_run_may_only_read_and_a_newer_push_ends_it():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in WORKFLOW["jobs"].values())
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is True


def test_every_action_has_an_exact_version():
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", name)] == []


def test_every_make_target_of_a_run_exists():
    targets = set(re.findall(r"make ([a-z-]+)", COMMANDS))
    written = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    assert targets >= {"lint", "test"}
    assert targets <= written | {"docs"}


def test_every_folder_and_file_that_a_run_tests_exists():
    paths = re.findall(r"\btests/[\w/.]+", COMMANDS)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_torch_has_the_tested_version_in_the_makefile():
    pin = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), flags=re.MULTILINE)[1]
    assert f"torch=={pin}\n" in (ROOT / "Makefile").read_text("utf-8")


def test_the_commit_hooks_run_the_programs_that_make_lint_runs():
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)[1]
    programs = set(re.findall(r"\$\(BIN\)/([\w-]+)", lint))
    (local,) = _yaml(".pre-commit-config.yaml")["repos"]
    entries = [hook["entry"] for hook in local["hooks"]]
    assert local["repo"] == "local"
    assert {entry.split()[0].removeprefix(".venv/bin/") for entry in entries if entry.startswith(".venv")} == programs


@pytest.mark.parametrize("name", ["case.dcm", "film.PNG", "scan.nii.gz", "pixels/part-00000.npy"])
def test_an_image_cannot_be_committed(name):
    hooks = [hook for repo in _yaml(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    (images,) = (hook for hook in hooks if hook["id"] == "no-images")
    assert images["language"] == "fail"
    assert re.search(images["files"], name)
    assert not re.search(images["exclude"], name)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_form_of_an_issue_asks_for_no_patient_data(path):
    form = _yaml(path)
    assert {"name", "description", "labels", "body"} <= form.keys()
    assert form["body"][0]["type"] == "markdown"
    assert "**No patient data" in form["body"][0]["attributes"]["value"]
    fields = form["body"][1:]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"].get("label") for field in fields)


def test_there_is_a_form_for_a_fault_a_statistic_and_a_feature():
    assert [path.stem for path in TEMPLATES] == ["bug", "feature", "statistic"]


def test_the_citation_is_of_this_version():
    citation = _yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["license"]) == (PROJECT["project"]["name"], PROJECT["project"]["license"])
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["message"]
    assert all("name" in author or "family-names" in author for author in citation["authors"])


def test_every_path_that_the_guide_names_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    paths = re.findall(r"`((?:src|tests|docs|validation)/[\w./*-]+)`", text)
    written = [path for path in paths if not re.search("NAME|FOLDER|PACKAGE|_build", path)]
    assert len(written) > 5
    assert [path for path in written if not list(ROOT.glob(path.rstrip("/")))] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md"])
def test_every_link_of_the_page_leads_to_a_file(page):
    text = (ROOT / page).read_text("utf-8")
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_security_is_reachable_and_names_the_private_way_to_report():
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text("utf-8")
    assert "(SECURITY.md)" in (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert "Report a vulnerability" in (ROOT / "SECURITY.md").read_text("utf-8")


def test_every_module_on_the_way_of_a_number_exists():
    section = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## The way of a number")[1].split("\n## ")[0]
    modules = [path for path in re.findall(r"`([\w/-]+\.py)`", section) if "NAME" not in path]
    assert len(modules) > 20
    assert [path for path in modules if not (ROOT / "src/overread" / path).is_file()] == []
