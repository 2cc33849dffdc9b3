import ast
import subprocess
import sys
from pathlib import Path

import pytest

import overread
from overread import findings, runs, tables
from overread.errors import InputError
from overread.tables.checked_tables import STATED_FINDINGS

_CHECKS = ("check", "read", "write")

AORTA = {"aortic_enlargement": {"title": "Aortic enlargement", "synonyms": {"vindr": ["Aortic enlargement"]}}}


def refused(tmp_path, text):
    """What is said of a vocabulary file with this text."""
    file = tmp_path / "own.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        findings.load(file)
    return str(error.value)


def test_a_file_is_a_vocabulary_in_its_own_order(tmp_path):
    file = tmp_path / "abdomen.toml"
    file.write_text(
        '[stone]\ntitle = "Stone"\nsynonyms = ["Calculus"]\n[colic]\ntitle = "Colic"\nparents = ["stone"]\n'
    )
    own = findings.load(file)
    assert (own.name, own.names()) == ("abdomen", ("stone", "colic"))
    assert own.resolve("calculus", source="any") == "stone"
    assert own.implied(["colic"]) == ("stone", "colic")


def test_several_parents_are_all_implied(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('[a]\ntitle = "A"\n[b]\ntitle = "B"\n[c]\ntitle = "C"\nparents = ["b", "a"]\n')
    assert findings.load(str(file)).implied(["c"]) == ("a", "b", "c")


def test_the_packaged_vocabulary_is_read_once():
    assert findings.load("chest") is findings.load()


def test_an_unknown_name_names_the_near_one():
    with pytest.raises(InputError, match=r"expected chest, or the path of a TOML file; found 'chets'.*'chest'"):
        findings.load("chets")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: expected a vocabulary \(TOML\); found no file there"):
        findings.load(tmp_path / "none.toml")


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match=r"expected a vocabulary \(TOML\) in UTF-8; found bytes that are not"):
        findings.load(tmp_path / "own.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a\n", "own.toml: expected TOML; found "),
        ("", "own.toml: expected at least one finding; found none"),
        ('[a]\ntitle = "A"\n[a]\ntitle = "B"\n', "own.toml: expected TOML; found "),
        ("a = 1\n", 'own.toml, a: expected a finding, such as { title = "Aortic enlargement" }; found 1'),
        ('[a]\ncode = "1"\n', "own.toml, a: expected a key 'title'; found keys code"),
        ("[a]\ntitle = 3\n", "own.toml, a: expected title: a text; found 3"),
        ('[a]\ntitle = " A"\n', "own.toml, a: expected title: a text; found ' A'"),
        ('[a]\ntitle = "A\\u0000"\n', "own.toml, a: expected title: a text; found 'A\\x00'"),
        ('[a]\ntitle = "A"\ncode = 12\n', "own.toml, a: expected code: a text, '' where there is none; found 12"),
        ('[a]\ntitle = "A"\nparents = "b"\n', "own.toml, a: expected parents: a list of names; found 'b'"),
        ('[a]\ntitle = "A"\nsynonyms = "b"\n', "own.toml, a: expected synonyms: a list of words, or such lists"),
        ('[a]\ntitle = "A"\nsynonyms_ = []\n', "found 'synonyms_'. Did you mean 'synonyms'?"),
        ('["Aortic Enlargement"]\ntitle = "A"\n', "found 'Aortic Enlargement'. Write aortic_enlargement."),
        ('[none]\ntitle = "A"\n', "expected names of lower case letters, digits and single underscores"),
        ('[a]\ntitle = "A"\nparents = ["b"]\n', "own.toml, a: expected parents of the vocabulary; found 'b'"),
        ('[b]\ntitle = "B"\n[a]\ntitle = "A"\nparents = ["b", "b"]\n', "own.toml, a: expected each parent once"),
        (
            '[a]\ntitle = "A"\nparents = ["b"]\n[b]\ntitle = "B"\nparents = ["a"]\n',
            "own.toml: expected parents that run in no circle; found a -> b -> a",
        ),
        (
            '[c]\ntitle = "C"\nparents = ["a"]\n[a]\ntitle = "A"\nparents = ["a"]\n',
            "own.toml: expected parents that run in no circle; found a -> a",
        ),
        (
            '[a]\ntitle = "A"\nsynonyms = ["Same word"]\n[b]\ntitle = "B"\nsynonyms = ["same_word"]\n',
            "own.toml: expected a word that means one finding; found 'Same word' of several",
        ),
        ('[a]\ntitle = "A"\nsynonyms = { nih14 = ["X", "x"] }\n', "own.toml, a, nih14: expected each synonym once"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, said):
    assert said in refused(tmp_path, text)


def test_all_problems_of_a_file_are_said_at_once(tmp_path):
    said = refused(tmp_path, "[a]\ntitle = 1\n[b]\ntitle = 2\n")
    assert "own.toml, a:" in said
    assert "own.toml, b:" in said


def test_findings_of_ones_own_stand_behind_those_of_the_base():
    chest, own = findings.load("chest"), findings.stated({"extra": AORTA}, "p [findings]")
    assert own.names() == (*chest.names(), "aortic_enlargement")
    assert own.resolve("aortic enlargement", source="vindr") == "aortic_enlargement"
    assert own.hash != chest.hash
    assert findings.stated({}, "p [findings]") is chest


def test_a_section_names_a_file_beside_it(tmp_path):
    (tmp_path / "own.toml").write_text('[a]\ntitle = "A"\n')
    assert findings.stated({"vocabulary": "own.toml"}, "p", folder=tmp_path).names() == ("a",)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"extras": {}}, "expected keys vocabulary, extra; found 'extras'"),
        ({"vocabulary": 3}, "expected vocabulary: a name such as 'chest', or a path; found 3"),
        ({"extra": []}, r"p, extra: expected findings by name, each with its title; found \[\]"),
        ({"extra": {"mass": {"title": "M"}}}, "expected names that the vocabulary 'chest' does not have; found 'mass'"),
        ({"extra": {"x": {"title": "X", "parents": ["maas"]}}}, "p, extra, x: expected parents .*Did you mean 'mass'"),
        (
            {"extra": {"x": {"title": "Effusion"}}},
            "expected a word that means one finding; found 'Effusion' of several",
        ),
        ([], r"expected a section of keys and values; found \[\]"),
    ],
)
def test_what_is_wrong_with_a_section_is_said(section, said):
    with pytest.raises(InputError, match=said):
        findings.stated(section, "p")


def test_a_record_of_the_packaged_vocabulary_is_its_name_and_hash():
    chest = findings.load("chest")
    record = findings.record_of(chest)
    assert record == {"name": "chest", "hash": chest.hash}
    assert findings.recorded(record, "r") is chest
    full = findings.record_of(chest, full=True)
    assert list(full["findings"]) == list(chest.names())
    assert findings.recorded(full, "r") == chest
    assert findings.recorded(None, "r") is chest


def test_a_record_of_another_vocabulary_holds_its_findings():
    own = findings.stated({"extra": AORTA}, "p")
    record = runs.plain({"vocabulary": own})["vocabulary"]
    assert findings.recorded(record, "r") == own
    record["findings"]["aortic_enlargement"]["title"] = "Other"
    with pytest.raises(InputError, match="r: expected the vocabulary 'chest, extended' as it was recorded"):
        findings.recorded(record, "r")


def test_vocabularies_differ_in_titles_codes_and_parents_of_the_names():
    chest = findings.load("chest")
    own = findings.stated({"extra": AORTA}, "p")
    assert own.differences(chest, ["mass", "aortic_enlargement"]) == ("aortic_enlargement",)
    assert chest.differences(own, chest.names()) == ()


@pytest.mark.slow
def test_no_module_of_the_library_loads_or_keeps_a_vocabulary_when_it_is_imported():
    code = (
        "import importlib, pkgutil, sys, overread\n"
        "for m in pkgutil.walk_packages(overread.__path__, 'overread.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "from overread.findings import Vocabulary, vocabulary_files\n"
        "assert vocabulary_files._packaged.cache_info().misses == 0\n"
        "kept = [n for n, m in sys.modules.items() if n.startswith('overread')\n"
        "        for v in list(vars(m).values()) if isinstance(v, Vocabulary)]\n"
        "print(kept)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_library_passes_a_vocabulary_wherever_a_table_of_findings_is_checked():
    free = set(tables.SCHEMAS) - set(STATED_FINDINGS)
    without = []
    files = [f for f in Path(overread.__file__).parent.rglob("*.py") if f.name != "evidence.py"]  # it writes results
    for file in files:
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or ast.unparse(call.func) not in {f"tables.{f}" for f in _CHECKS}:
                continue
            named = [a.value for a in call.args if isinstance(a, ast.Constant)]
            if not free & set(named) and "vocabulary" not in [k.arg for k in call.keywords]:
                without.append(f"{file.name}, line {call.lineno}")
    assert without == []
