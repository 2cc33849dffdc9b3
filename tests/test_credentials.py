"""Passwords and tokens: refused in options and addresses, never shown, never written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread import credentials, datasets
from overread.datasets import dicomweb
from overread.errors import InputError
from overread.images.deidentification import new_key, read_key
from overread.images.store import executors
from overread.protocol import check, load, run

TOKEN = "hunter2-0f3c9a"
KEYS = [
    "password",
    "passwd",
    "pwd",
    "pass",
    "passphrase",
    "secret",
    "client_secret",
    "token",
    "access_token",
    "accessToken",
    "auth_token",
    "refresh-token",
    "api_key",
    "apikey",
    "apiKey",
    "API_KEY",
    "access_key",
    "aws_secret_access_key",
    "private_key",
    "authorization",
    "Authorization",
    "bearer",
    "bearer_token",
    "auth",
    "credentials",
    "credential",
    "user",
    "username",
    "login",
    "pin",
    "jwt",
    "cookie",
    "sas",
    "signature",
    "x-api-key",
    "pacs.password",
    "pacs_user",
    "connection_secret",
    "subscription-key",
]
PROTOCOL = """
[study]
title = "T"
{study}
[sources.pacs]
reader = "dicomweb"
[sources.pacs.options]
url = "{url}"
site = "a"
{options}
[sites]
internal = ["a"]
[models.m]
sites = ["a"]
"""


def protocol(folder, *, options="", url="https://pacs/d", study=""):
    path = folder / "p.toml"
    path.write_text(PROTOCOL.format(options=options, url=url, study=study))
    return path


def refused_unseen(folder, path, changes=None):
    out = folder / "out"
    with pytest.raises(InputError) as error:
        run(path, out, data=folder, changes=changes)
    assert TOKEN not in str(error.value)
    assert not out.exists()
    if not changes:
        for function in (load, check):
            with pytest.raises(InputError) as error:
                function(path)
            assert TOKEN not in str(error.value)


@pytest.mark.parametrize("key", KEYS)
def test_a_token_under_any_usual_name_is_in_no_file_and_no_message(tmp_path, key):
    for options in (
        f'"{key}" = "{TOKEN}"',
        f'folder = {{ "{key}" = "{TOKEN}" }}',
        f'query = {{ deep = [{{ "{key}" = "{TOKEN}" }}] }}',
    ):
        refused_unseen(tmp_path, protocol(tmp_path, options=options))
    refused_unseen(tmp_path, protocol(tmp_path, study=f'"{key}" = "{TOKEN}"'))
    if "." not in key:
        refused_unseen(tmp_path, protocol(tmp_path), {f"sources.pacs.options.{key}": TOKEN})
    with pytest.raises(InputError) as error:
        datasets.load("table", tmp_path, {"images": "a.csv", "columns": {}, key: TOKEN})
    assert TOKEN not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        f"https://u:{TOKEN}@pacs/d",
        f"https://{TOKEN}@pacs/d",
        f"https://pacs/d?token={TOKEN}",
        f"https://pacs/d?x={TOKEN}",
        f"https://pacs/d?{TOKEN}",
        f"https://pacs/d#{TOKEN}",
        f"https://pacs/d;key={TOKEN}",
        f"u:{TOKEN}@pacs/d",
    ],
)
def test_addresses_with_a_secret_are_in_no_file_and_no_message(tmp_path, url):
    refused_unseen(tmp_path, protocol(tmp_path, url=url))
    for function in (lambda: executors._client(None, url), lambda: dicomweb._client(url, "")):
        with pytest.raises(InputError) as error:
            function()
        assert TOKEN not in str(error.value)


def test_a_configuration_with_a_token_is_refused_unseen(tmp_path):
    path = tmp_path / "c.toml"
    for text in (f'[options]\ntoken = "{TOKEN}"\n', f'[cohort]\nseed = 1\n[options.folder]\napi_key = "{TOKEN}"\n'):
        path.write_text(text)
        with pytest.raises(InputError, match="which is not shown") as error:
            check(path)
        assert TOKEN not in str(error.value)


def test_places_of_credentials_and_plain_options_are_accepted(tmp_path):
    for place in ("env:PACS_TOKEN", "netrc", "netrc:/safe/netrc", "file:/safe/token"):
        assert load(protocol(tmp_path, options=f'credentials = "{place}"')).sources
    options = 'query = { StudyDate = "20200101", PatientName = "A*" }\nfolder = { key = "accession", workers = 1 }'
    assert load(protocol(tmp_path, options=options)).sources


def test_words_of_the_data_are_no_names_of_options():
    stated = {
        "spellings": {"state": {"pass": "absent"}},
        "where": {"user": "a"},
        "columns": {"site": "token"},
        "author": "x",
        "keyword": "y",
        "key": "accession",
        "tokens_per_word": {},
        "link": "see https://a.org?id=3",
    }
    assert credentials.problems(stated, "here") == []


@given(st.text(max_size=30))
def test_any_text_is_judged_without_an_error(text):
    credentials.is_secret(text)
    credentials.address_fault(text)
    credentials.address_fault(f"https://{text}")
    assert credentials.problems({"password": text}, "here")


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644, 0o620, 0o777])
def test_a_key_that_others_may_read_is_refused_with_the_command_that_mends_it(tmp_path, mode):
    path = new_key(tmp_path / "key")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(mode)
    with pytest.raises(InputError, match=f"permissions {mode:04o}, .* Run: chmod 600 '{path}'"):
        read_key(path)
    path.chmod(0o400)
    assert read_key(path)
