"""The commands, as a person types them: what they say, how they fail, what they leave behind."""

import html
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from overread import cli
from overread.cli import arguments as cli_given
from overread.cli import terminal
from overread.errors import InputError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
COMMAND = Path(sys.executable).parent / "overread"


def overread(*arguments, cwd):
    done = subprocess.run([COMMAND, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def files(tmp_path):
    """A vendor's three files: 240 images of 120 patients, one finding that the scores tell well, one they do not."""
    rng = np.random.default_rng(1)
    n = 240
    truth = rng.random((n, 2)) < 0.4
    images = pl.DataFrame(
        {
            "Image Index": [f"{i:08d}.png" for i in range(n)],
            "Patient ID": [f"{i // 2:04d}" for i in range(n)],
            "Patient Gender": ["F" if i // 2 % 2 else "M" for i in range(n)],
            "Patient Age": [30 + i // 2 % 50 for i in range(n)],
            "View Position": ["PA"] * n,
        }
    )
    labels = images.select("Image Index").with_columns(
        pl.Series("Edema", truth[:, 0].astype(int)), pl.Series("Mass", truth[:, 1].astype(int))
    )
    scores = 1 / (1 + np.exp(-(truth * [2.5, 0.3] - 1 + rng.normal(size=(n, 2)))))
    scores[0, 0] = 0.5
    predictions = images.select("Image Index").with_columns(
        pl.Series("Edema", scores[:, 0]), pl.Series("Mass", scores[:, 1])
    )
    images.write_csv(tmp_path / "images.csv")
    labels.write_csv(tmp_path / "labels.csv")
    predictions.write_csv(tmp_path / "acme.csv")
    return tmp_path


EVALUATE = ("evaluate", "--images", "images.csv", "--labels", "labels.csv", "--predictions", "acme.csv", "-o", "out")


def test_a_vendors_files_become_a_report_and_each_look_is_counted(files):
    for times in (1, 2):
        code, said = overread(*EVALUATE, cwd=files)
        assert code == 0, said
        assert "report.html" in said
        entries = [json.loads(line) for line in (files / "out/ledger.jsonl").read_text().splitlines()]
        assert [e["kind"] for e in entries] == ["access to test labels"] * times
        head = json.loads((files / "out/notes.json").read_text())["ledger"]
        assert head == {"number": times, "hash": entries[-1]["hash"]}
    estimates = pl.read_parquet(files / "out/report/estimates.parquet")
    auc = estimates.filter((pl.col("metric") == "auc") & (pl.col("analysis") == "standalone"))
    by_finding = dict(auc.select("finding", "estimate").rows())
    assert by_finding["edema"] > 0.9 > 0.7 > by_finding["mass"]
    assert set(auc["n_patients"].drop_nulls()) == {120}
    assert "120 patients" in (files / "out/report/report.html").read_text()


def test_changed_identifiers_are_counted_on_the_terminal_and_on_the_first_page(files):
    images = pl.read_csv(files / "images.csv", infer_schema=False)
    padded = pl.when(pl.int_range(pl.len()) % 2 == 1).then(pl.format("{} ", "Patient ID")).otherwise("Patient ID")
    images.with_columns(padded.alias("Patient ID")).write_csv(files / "images.csv")
    code, said = overread(*EVALUATE, cwd=files)
    note = "images: 120 values of 'patient_id' had white space around them: removed ('0000 '; '0001 '; '0002 '"
    assert code == 0
    assert note in said
    page = html.unescape((files / "out/report/report.html").read_text(encoding="utf-8"))
    text = " ".join(re.sub("<[^>]*>", " ", page).split())
    assert note in text[: text.index("The figure as a table")]  # what follows is not the first page
    estimates = pl.read_parquet(files / "out/estimates.parquet")
    assert estimates["n_patients"].max() <= 120


def test_readers_and_several_label_files_go_in_as_they_are(files):
    """Two label sources, one of them in two files and only for some images, and reads as a public file has them."""
    images = pl.read_csv(files / "images.csv", infer_schema=False)["Image Index"].to_list()
    answers = [
        (i, r, "YES" if (k + j) % 3 == 0 else "HEDGE" if (k + j) % 7 == 0 else "NO")
        for k, i in enumerate(images[:60])
        for j, r in enumerate(("101", "102", "103"))
    ]
    frame = pl.DataFrame(answers, schema=["Image ID", "Reader ID", "Edema"], orient="row")
    frame.write_csv(files / "reads.csv")
    for k, part in enumerate((images[:30], images[30:60])):
        panel = pl.DataFrame({"Image Index": [*part, f"elsewhere{k}"], "Edema": ["YES", "NO"] * 15 + ["NO"]})
        panel.write_csv(files / f"panel{k}.csv")
    more = ("--labels", "panel=panel0.csv", "--labels", "panel=panel1.csv", "--reads", "reads.csv")
    named = tuple("own=labels.csv" if a == "labels.csv" else a for a in EVALUATE)
    code, said = overread(*named, *more, "--reference", "own", cwd=files)
    assert code == 2, said
    assert "labels of source 'panel': expected cases of the images table; found 2 of 62 cases (3.2%)" in said
    (files / "c.toml").write_text("[evaluation.missing_allowed]\nlabels = 0.04\n")
    code, said = overread(*named, *more, "--reference", "own", "--config", "c.toml", cwd=files)
    assert code == 0, said
    left_out = "labels of source 'panel': not in the images table (3.2% of 62)"
    assert f"2 cases, {left_out} (elsewhere0; elsewhere1)." in said
    page = (files / "out/report/report.html").read_text()
    assert left_out in html.unescape(page)
    estimates = pl.read_parquet(files / "out/estimates.parquet")
    assert set(estimates.filter(analysis="readers", metric="auc")["reference"]) == {
        "own",
        "panel",
        "majority",
    }
    account = dict(pl.read_parquet(files / "out/account.parquet").select("reason", "count").rows())
    assert account[left_out] == 2
    run = json.loads((files / "out/run.json").read_text())
    assert set(run["inputs"]) == {"images", "labels", "labels 2", "labels 3", "predictions acme.csv", "reads"}


def test_the_same_label_in_two_files_is_refused(files):
    named = tuple("own=labels.csv" if a == "labels.csv" else a for a in EVALUATE)
    code, said = overread(*named, "--labels", "own=labels.csv", cwd=files)
    assert code == 2, said
    assert "one row per case_id, finding, source" in said


def test_what_only_authors_know_reaches_the_checklists(files):
    overread(*EVALUATE, cwd=files)
    (files / "said.toml").write_text('funding = "None."\n')
    code, said = overread("report", "out", "-o", "said", "--statements", "said.toml", cwd=files)
    assert code == 0, said
    rows = (files / "said/checklists.csv").read_text(encoding="utf-8").splitlines()
    assert sum("stated by the authors,None." in row for row in rows) == 3
    (files / "said.toml").write_text('fundign = "None."\n')
    code, said = overread("report", "out", "-o", "wrong", "--statements", "said.toml", cwd=files)
    assert code == 2
    assert "funding" in said


def test_the_report_can_be_written_again_from_the_evaluation_alone(files):
    overread(*EVALUATE, cwd=files)
    code, said = overread("report", "out", "-o", "again", "--title", "Renamed", cwd=files)
    assert code == 0, said
    assert "<title>Renamed" in (files / "again/report.html").read_text()
    assert (files / "again/estimates.parquet").read_bytes() == (files / "out/report/estimates.parquet").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "none.csv", "--table", "labels"), "none.csv: expected a CSV or Parquet file; found no file there"),
        (("check", "images.csv", "--table", "reads"), "images.csv: expected columns that name findings"),
        (("run", "none.toml", "-o", "s"), "none.toml: expected a protocol (TOML); found no file there"),
        (("train", "none", "-o", "m"), "none: expected"),
        (("predict", "none", "none", "-o", "p"), "none: expected"),
        (("report", "none", "-o", "r"), "none: expected a folder written by overread, with a run.json"),
        (("cohort", "--root", ".", "-o", "c"), "expected --images and --labels, or --reader; found neither"),
        (("run", "p.toml", "-o", "s", "--set", "seed"), "expected KEY=VALUE, such as training.epochs=5; found 'seed'"),
        ((*EVALUATE[:-1], "acme.csv"), "acme.csv: expected a folder; found a file. Choose another folder."),
        (
            (*EVALUATE, "--external", "nowhere"),
            "expected a site 'nowhere', named as internal or external; found sites []",
        ),
        ((*EVALUATE, "--subgroup", "ward"), "expected the subgroup column 'ward'"),
        ((*EVALUATE, "--finding", "edma"), "found 'edma'. Did you mean 'edema'?"),
    ],
)
def test_what_the_user_can_mend_is_one_paragraph_and_exit_2(files, arguments, message):
    code, said = overread(*arguments, cwd=files)
    assert code == 2, said
    assert message in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (
            "acme.csv",
            ("png,0.5,", "png,nan,", 1),
            "expected a score for every labelled case and finding; found 1 of 240 cases (0.4%) without one",
        ),
        ("acme.csv", ("00000000.png", "unknown.png", 1), "00000000.png edema"),
        ("labels.csv", ("0000000", "x000000"), "10 of 240 cases (4.2%) that are not in it ('x0000000.png',"),
        ("acme.csv", ("00000001.png", "00000000.png", 1), "rows with a repeated key (00000000.png)"),
        (
            "acme.csv",
            ("Mass", "Mass,Mass"),
            "expected every column once; found column names that occur twice",
        ),
        ("acme.csv", ("Edema", "Edma", 1), "Did you mean 'edema'?"),
        ("labels.csv", ("png,1", "png,7", 1), "other values (7 in edema)"),
        ("labels.csv", ("00000001.png", "00000000.png", 1), "rows with a repeated key"),
        ("images.csv", ("Patient ID", "Person", 1), "expected a column 'patient_id' (or 'Patient ID')"),
        ("images.csv", (",30,", ",old,", 1), 'expected an age such as "57"'),
        ("images.csv", (",M,", ",X,", 1), "expected a sex: F, M, female, male, or empty; found 1 other spellings (X)"),
    ],
)
def test_a_file_that_is_wrong_is_said_and_no_estimate_is_written(files, file, change, message):
    path = files / file
    path.write_text(path.read_text().replace(*change))
    code, said = overread(*EVALUATE, cwd=files)
    assert code == 2, said
    assert message in said
    assert not list(files.glob("out/**/*.parquet"))


def test_missing_predictions_are_refused_or_counted_never_a_silent_subset(files):
    path = files / "acme.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-24]) + "\n")
    code, said = overread(*EVALUATE, cwd=files)
    assert code == 2
    assert "24" in said
    (files / "c.toml").write_text("[evaluation.missing_allowed]\nscores = 0.2\n")
    code, said = overread(*EVALUATE, "--config", "c.toml", cwd=files)
    assert code == 0, said
    account = pl.read_parquet(files / "out/account.parquet")
    assert account.filter(pl.col("count") == 24).height >= 1


def test_check_accepts_what_evaluate_accepts_and_says_what_each_column_is(files):
    """The same files in another dialect, with a column of no known meaning, through check and evaluate."""
    for name in ("images", "labels", "acme"):
        text = (files / f"{name}.csv").read_text()
        text = re.sub(r"(\d)\.(\d)", r"\1,\2", text.replace(",", ";")) if name == "acme" else text.replace(",", ";")
        lines = text.splitlines()
        if name == "images":
            lines = [line + (";Geschlecht" if i == 0 else ";männlich") for i, line in enumerate(lines)]
            lines[1] = lines[1].replace(";30;", ";155;")
            lines.append(lines[-1])
        (files / f"{name}.csv").write_bytes("\r".join(lines).encode("utf-16"))
    for name, meaning in (
        ("images", "'Patient ID': patient_id"),
        ("labels", "'Edema': finding edema"),
        ("acme", "'Mass'"),
    ):
        code, said = overread("check", f"{name}.csv", cwd=files)
        assert code == 0, said
        assert f"column {meaning}" in said
        assert "semicolons between columns" in said
    code, said = overread(*EVALUATE, cwd=files)
    assert code == 0, said
    for remark in (
        "acme.csv: read as text with semicolons between columns; decimal commas in Edema, Mass; encoding UTF-16; lines",
        "1 column, images.csv: not used (Geschlecht).",
        "1 row, images.csv: exact repeats of a row of images: dropped (00000239.png).",
        "1 image, age 155 is above 120 years: not stated (00000000.png).",
    ):
        assert remark in said, remark
    record = json.loads((files / "out/run.json").read_text())["notes"]["files as read"]["images.csv"]
    assert record["columns not used"] == ["Geschlecht"]
    assert record["columns"]["Patient Age"] == "age_years"
    account = pl.read_parquet(files / "out/account.parquet").filter(stage="tables")
    assert set(account["count"]) == {1}


def test_columns_that_no_table_of_a_file_uses_are_named_once(files):
    truth = pl.read_csv(files / "images.csv").join(pl.read_csv(files / "labels.csv"), on="Image Index")
    truth = truth.with_columns(pl.lit(0.5).alias("prob_Pneumonia"), pl.lit("x").alias("ward"))
    truth.write_csv(files / "truth.csv")
    given = ["truth.csv" if a in ("images.csv", "labels.csv") else a for a in EVALUATE]
    code, said = overread(*given, cwd=files)
    assert code == 0, said
    assert "2 columns, truth.csv: not used (prob_Pneumonia; ward)." in said


def test_check_takes_the_words_of_a_configuration(files):
    labels = files / "labels.csv"
    labels.write_text(labels.read_text().replace(",1", ",Befund").replace(",0", ",oB"))
    (files / "c.toml").write_text('[evaluation.spellings.state]\nBefund = "present"\noB = "absent"\n')
    assert overread("check", "labels.csv", "--table", "labels", cwd=files)[0] == 2
    for command in (("check", "labels.csv"), EVALUATE):
        code, said = overread(*command, "--config", "c.toml", cwd=files)
        assert code == 0, said


@pytest.mark.usefixtures("interruptible")
def test_a_stop_by_ctrl_c_says_that_the_same_command_goes_on(tmp_path):
    process = subprocess.Popen(
        [COMMAND, "demo", "--out", str(tmp_path / "d")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    patience = time.monotonic() + 120
    while not list(tmp_path.glob("d/.simulated.part/*/*")) and time.monotonic() < patience:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 130, said
    assert "The same command goes on where this one was." in " ".join(said.split())
    assert "Traceback" not in said


def test_every_command_is_in_the_reference_and_no_other():
    said = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
    offered = set(re.findall(r"^\W{0,3}(\w+)  +\S", said, flags=re.MULTILINE)) - {"help"}
    written = set(
        re.findall(r"^\| `overread (\w+)", (ROOT / "docs/reference/commands.md").read_text(), flags=re.MULTILINE)
    )
    assert offered >= written
    stages = {"cohort", "splits", "sample", "deidentify", "train", "predict", "evaluate", "report"}
    assert written == {"demo", "run", "check", "verify", "plan"} | stages


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "c", "-o", "m"), "This command needs torch: pip install 'overread[train]'."),
        (("demo", "--out", "d"), "expected torch, since this protocol trains models; found an installation without it"),
    ],
)
def test_a_base_install_says_what_training_needs_before_anything_is_done(tmp_path, arguments, message):
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        "class No:\n"
        "    def find_spec(self, name, *a):\n"
        "        if name == 'torch': raise ModuleNotFoundError(name, name='torch')\n"
        "sys.meta_path.insert(0, No())\n"
        f"sys.argv = ['overread', *{list(arguments)!r}]\n"
        "from overread.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_a_table_sentences_and_two_files(tmp_path):
    code, said = overread("plan", "--readers", 8, "--images-per-patient", 2, "--out", "sizes.csv", cwd=tmp_path)
    assert code == 0, said
    rows = pl.read_csv(tmp_path / "sizes.csv")
    for row in rows.iter_rows(named=True):
        assert " ".join(f"{row[k]:,}" for k in ("present", "absent", "cases", "patients")) in said
    sentences = (tmp_path / "sizes.txt").read_text().strip().split("\n\n")
    assert len(sentences) == rows.height
    assert all(f"- {s}" in said for s in sentences)
    assert said.endswith("sizes.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--prevalence", 10), "plan: prevalence: expected a number between 0 and 1; found 10.0."),
        (("--readers", 1), "plan: readers: expected a whole number from 2 to 1,000; found 1."),
        (("--auc", 1, "--power", 80), "2 problems 1. plan: auc: expected a number between 0 and 1; found 1.0. 2. plan"),
        (
            ("--auc-width", 1e-7),
            "sample size: expected at most 1,000,000,000 cases; found more. Choose a larger width or difference.",
        ),
        (("--out", "taken"), "expected a folder; found a file. Choose another folder."),
    ],
)
def test_a_plan_that_cannot_be_says_why(tmp_path, arguments, message):
    (tmp_path / "taken").write_text("")
    code, said = overread("plan", *arguments, cwd=tmp_path)
    assert (code, message in said) == (2, True), said
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    "address",
    [
        "https://bob:S3CR3T@h/t.csv",
        "https:/bob:S3CR3T@h/t.csv",
        "tcp://S3CR3T@h:8786",
        "https://bob:a/S3CR3T#@h",
        "s3://h/t.csv?X-Amz-Signature=S3CR3T",
    ],
)
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("evaluate", "--images", "{}", "--labels", "l.csv", "--predictions", "p.csv", "-o", "m"), "--images"),
        (("evaluate", "--images", "i.csv", "--labels", "a={}", "--predictions", "p.csv", "-o", "m"), "--labels"),
        (("train", "c", "-o", "m", "--name", "{}"), "--name"),
        (("train", "c", "-o", "m", "--network={}"), "--network"),
        (("report", "e", "-o", "m", "--title", "of {} today"), "--title"),
        (("sample", "c", "-o", "m", "--size", "{}"), "--size"),
        (("verify", "{}"), "the command line"),
        (("{}",), "the command line"),
    ],
)
def test_a_password_on_the_command_line_is_neither_shown_nor_stored(
    tmp_path, capsys, monkeypatch, words, named, address
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["overread", *(word.format(address) for word in words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = "".join(capsys.readouterr())
    assert stop.value.code == 2
    assert said.startswith(f"{named}: expected an address without a password, token or user; found one with ")
    assert "S3CR3T" not in said
    assert list(tmp_path.iterdir()) == []


def test_an_address_without_a_user_and_an_at_sign_elsewhere_are_no_password():
    words = ["--title", "See https://h.org/@home, bob@h.org", "--labels", "a=b@c.csv", "C:/a:b@c", "https://h:80/@home"]
    cli_given.check_words([*words, ""])
    with pytest.raises(InputError) as refused:  # the only fault is the word that holds a password
        cli_given.check_words([*words, "", "--root", "https://bob:S3CR3T@h"])
    assert str(refused.value).startswith("--root: ")


def test_a_password_of_an_address_in_a_message_is_not_shown(capsys):
    for text in ("https:/bob:S3CR3T@h/t.csv", "a, HTTPS://bob:S3CR3T@h", "x=ftp://S3CR3T@h", "s3://b:x/S3CR3T?@h"):
        terminal.say(text)
        terminal.put(text)
        assert "S3CR3T" not in str(InputError(text, text, text, examples=[text], do=text))
    said = "".join(capsys.readouterr())
    assert "S3CR3T" not in said
    assert said.count("…@h") == 8


def test_the_version_is_that_of_the_package(tmp_path):
    assert overread("--version", cwd=tmp_path) == (0, f"overread {importlib.metadata.version('overread')}")


def test_a_ledger_that_cannot_go_on_leaves_the_earlier_evaluation_as_it_is(files):
    assert overread(*EVALUATE, cwd=files)[0] == 0
    ledger = files / "out/ledger.jsonl"
    whole = ledger.read_bytes()
    for make, found in (
        (os.mkfifo, "a named pipe"),
        (Path.mkdir, "a folder"),
        (lambda path: path.write_bytes(whole.replace(b"\n", b"\r\n")), "a line that was changed"),
        (lambda path: path.write_bytes(b"{}\n" + whole), "a line that was changed"),
    ):
        shutil.rmtree(ledger) if ledger.is_dir() else ledger.unlink()
        make(ledger)
        before = {p: p.read_bytes() for p in (files / "out").rglob("*") if p.is_file()}
        code, said = overread(*EVALUATE, cwd=files)
        assert code == 2
        assert found in said
        assert {p: p.read_bytes() for p in (files / "out").rglob("*") if p.is_file()} == before
        code, said = overread("verify", "out", cwd=files)
        assert code == 2
        assert "ledger.jsonl: out/ledger.jsonl" in said
        assert found in said
