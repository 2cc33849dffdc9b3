"""Radiographs from a PACS over DICOMweb: found by QIDO-RS, fetched once by WADO-RS into a folder, read as any DICOM."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from overread import limits
from overread.credentials import PLACES, check_address
from overread.credentials import read as read_credentials
from overread.datasets import dicom_folder
from overread.errors import InputError, did_you_mean
from overread.findings import Vocabulary
from overread.tables import RADIOGRAPHS, Source, make_folder, replacing

_MODALITIES = (*RADIOGRAPHS, "DR", "XR")  # the last two are no terms of DICOM, but devices write them
_ANY_SYNTAX = (("application/dicom", "*"),)  # as it is stored: nothing is encoded anew on the way
_STUDY, _SERIES, _INSTANCE, _MODALITY = "0020000D", "0020000E", "00080018", "00080060"

_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)  # PS3.5, section 9.1

_PAGE = 500

Progress = Callable[[int, int], None]


def read(
    root: Path,
    *,
    url: str,
    site: str,
    query: Mapping[str, Any] | None = None,
    credentials: str = "",
    folder: Mapping[str, Any] | None = None,
    cache: Path | None = None,
    vocabulary: Vocabulary | None = None,
) -> Source:
    """Fetch the radiographs that a query finds, then read them with `dicom_folder`.

    Parameters
    ----------
    root: the folder that the instances are put into (STUDY/SERIES/INSTANCE.dcm); what is there is not fetched again.
    url: of the DICOMweb service, such as "https://pacs.hospital/dicom-web".
    site: what the tables call the institution.
    query: of the studies, in DICOM's words: {"StudyDate": "20200101-20201231", "ModalitiesInStudy": "DX"}.
    credentials: where user:password or a bearer token is: "env:NAME" an environment variable, "netrc" or "netrc:FILE"
        the entry of the host, "file:PATH" a file that its owner alone may read. Never the value itself.
    folder: the options of `dicom_folder` (labels, key, columns, form, workers).
    cache, vocabulary: see `dicom_folder`.

    Raises InputError: a service that cannot be reached or refuses, a query that finds nothing, instances that could not
    be fetched (what was fetched stays; run it again for the rest), and what `dicom_folder` raises.
    """
    fetch(url, root, query or {}, credentials=credentials)
    given = dict(folder or {})
    known = [
        p for p in inspect.signature(dicom_folder.read).parameters if p not in ("root", "site", "cache", "vocabulary")
    ]
    if unknown := [key for key in given if key not in known]:
        expected, do = f"options of dicom_folder ({', '.join(known)})", did_you_mean(str(unknown[0]), known)
        raise InputError("dicomweb, folder", expected, "others", examples=unknown, do=do)
    return dicom_folder.read(root, site=site, cache=cache, vocabulary=vocabulary, **given)


def fetch(
    url: str, root: Path, query: Mapping[str, Any], *, credentials: str = "", progress: Progress | None = None
) -> int:
    """Fetch the radiographs of the studies that a query finds; returns how many were fetched now.

    Each file is written under another name and renamed, so that an interrupted fetch goes on where it was.
    """
    client = _client(url, credentials)
    wanted = _found(client, url, query)
    if not wanted:
        raise InputError(url, f"radiographs that match {dict(query)}", "none", do="Widen the query.")
    missing = [w for w in wanted if not _place(root, w).is_file()]
    report = progress or (lambda done, total: None)
    report(len(wanted) - len(missing), len(wanted))
    lost: list[str] = []
    for number, ids in enumerate(missing, 1):
        why = _fetched(client, ids, _place(root, ids))
        if why:
            lost.append(f"{ids[2]}: {why}")
        report(len(wanted) - len(missing) + number, len(wanted))
    if lost:
        raise InputError(
            url,
            "every instance that was found",
            f"{len(lost):,} of {len(wanted):,} that could not be fetched",
            examples=lost,
            do="Run it again: what is there is not fetched again.",
        )
    return len(missing)


def _client(url: str, credentials: str) -> Any:
    try:
        import requests
        from dicomweb_client.api import DICOMwebClient
    except ModuleNotFoundError as error:
        do = "pip install 'overread[clinic]'."
        raise InputError("dicomweb", "dicomweb-client", "an installation without it", do=do) from error
    check_address(url, "dicomweb, url")
    session = requests.Session()
    session.max_redirects = limits.REDIRECTS
    session.hooks["response"].append(_reader())
    if credentials:
        user, password = read_credentials(credentials, host=urlsplit(url).hostname or "", where="dicomweb, credentials")
        if user:
            session.auth = (user, password)
        else:
            session.headers["Authorization"] = f"Bearer {password}"
    try:
        client = DICOMwebClient(url=url, session=session, timeout=60)
    except (ValueError, TypeError) as error:
        raise InputError("dicomweb, url", "the address of a DICOMweb service", f"'{url}' ({error})") from error
    client.set_http_retry_params(max_attempts=4, wait_exponential_multiplier=500)
    return client


def _reader() -> Callable[..., None]:
    """What reads every answer: never more bytes, nor for longer, than an answer may take.

    The service decides how much it sends, and how slowly; the time-out of the session is that of one piece.
    """
    import requests
    import urllib3

    refused: set[str] = set()  # dicomweb-client asks again whatever went wrong

    def read(response: Any, *_: Any, **__: Any) -> None:
        json = "json" in response.headers.get("Content-Type", "")
        most = limits.ANSWER_BYTES if json else limits.OBJECT_BYTES
        begun, body = time.monotonic(), bytearray()
        try:
            while response.url not in refused and (piece := response.raw.read1(1 << 20, decode_content=True)):
                body += piece
                if len(body) > most or time.monotonic() > begun + limits.REQUEST_SECONDS:
                    refused.add(response.url)
        except urllib3.exceptions.HTTPError as error:
            raise requests.exceptions.ConnectionError(error) from error
        if response.url in refused:
            response.close()
            most_of_it = f"{most:,} bytes and {limits.REQUEST_SECONDS:g} s"
            raise InputError(
                response.url,
                f"an answer within {most_of_it}",
                f"an answer beyond {most_of_it}",
                do="Ask those who run the service.",
            )
        response._content, response._content_consumed = bytes(body), True  # as `Response.content` sets them

    return read


def _found(client: Any, url: str, query: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Study, series and instance UIDs of the radiographs of the studies that the query finds."""
    import requests

    wanted = []
    try:
        for study in _all(_STUDY, client.search_for_studies, search_filters=dict(query)):
            for series in _all(_SERIES, client.search_for_series, study[0], fields=["Modality"]):
                if series[1] in _MODALITIES:
                    held = _all(_INSTANCE, client.search_for_instances, study[0], series[0])
                    wanted += [(study[0], series[0], instance) for instance, _ in held]
    except requests.exceptions.HTTPError as error:
        answer = error.response
        code, reason = (0, "") if answer is None else (answer.status_code, answer.reason)
        do = f"Give `credentials`: {PLACES}." if code in (401, 403) else "Check the query."
        raise InputError(url, "an answer to the query", f"{code} {reason}", do=do) from error
    except (requests.exceptions.RequestException, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(url, "a DICOMweb service", f"none that answers ({text})", do="Check the address.") from error
    return sorted(set(wanted))


def _all(tag: str, search: Callable[..., Any], *of: str, **given: Any) -> list[tuple[str, str]]:
    """The UID and the modality of every answer, page by page; a service that knows no pages sends all at once."""
    found: dict[str, str] = {}
    while True:
        page = search(*of, limit=_PAGE, offset=len(found), **given)
        new = {_value(r, tag): _value(r, _MODALITY) for r in page}
        known = len(found)
        found |= new
        if len(found) > limits.FOUND:
            raise InputError("dicomweb, query", f"at most {limits.FOUND:,} answers", "more", do="Narrow the query.")
        if len(page) < _PAGE or len(found) == known:
            return list(found.items())


def _value(record: Mapping[str, Any], tag: str) -> str:
    values = record.get(tag, {}).get("Value") or [""]
    return str(values[0])


def _place(root: Path, ids: tuple[str, str, str]) -> Path:
    for uid in ids:
        if len(uid) > 64 or not _UID.fullmatch(uid):  # ".." would lead out of the folder
            raise InputError("dicomweb", "unique identifiers of digits and dots", f"{uid!r:.80}")
    return root / ids[0] / ids[1] / f"{ids[2]}.dcm"


def _fetched(client: Any, ids: tuple[str, str, str], path: Path) -> str:
    """Fetch one instance; why it could not be, "" where it was."""
    import requests
    from pydicom.errors import InvalidDicomError

    try:
        dataset = client.retrieve_instance(*ids, media_types=_ANY_SYNTAX)
    except InputError as error:
        return error.found
    except (requests.exceptions.RequestException, InvalidDicomError, ValueError, OSError, EOFError) as error:
        return " ".join(str(error).split())[:120] or type(error).__name__
    if str(dataset.get("SOPInstanceUID", "")) != ids[2]:
        return f"another instance was sent ({dataset.get('SOPInstanceUID', 'none')})"
    make_folder(path.parent)
    with replacing(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
    return ""
