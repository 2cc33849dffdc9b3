"""Radiographs from a PACS over DICOMweb: search by QIDO-RS, retrieval by WADO-RS, then as a folder of DICOM files."""

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

_MODALITIES = (*RADIOGRAPHS, "DR", "XR")  # DR and XR are not DICOM terms, but devices write them
_ANY_SYNTAX = (("application/dicom", "*"),)  # the stored transfer syntax: pixel data are not re-encoded
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
    """Retrieve the radiographs that a query finds, then read them with `dicom_folder`.

    Parameters
    ----------
    root : Path
        Folder for the instances (STUDY/SERIES/INSTANCE.dcm); instances that are present are not retrieved again.
    url : str
        URL of the DICOMweb service, such as "https://pacs.hospital/dicom-web".
    site : str
        Name of the institution, written to the column `site`.
    query : mapping, optional
        Study-level matching keys of QIDO-RS by DICOM keyword: {"StudyDate": "20200101-20201231", "ModalitiesInStudy":
        "DX"}.
    credentials : str
        Place of "user:password" or a bearer token, never the value itself: "env:NAME" = environment variable; "netrc"
        or "netrc:FILE" = entry of the host; "file:PATH" = file that only its owner can read.
    folder : mapping, optional
        Options of `dicom_folder.read`: labels, key, columns, form, workers.
    cache : Path, optional
        See `dicom_folder.read`.
    vocabulary : Vocabulary, optional
        Findings that labels, regions and reads may name. None = the vocabulary "chest".

    Returns
    -------
    Source
        As `dicom_folder.read` returns it.

    Raises
    ------
    InputError
        The service cannot be reached or refuses the request, the query finds nothing, instances could not be retrieved
        (those retrieved are kept; a second run retrieves the rest), or `dicom_folder.read` raises.

    Notes
    -----
    DICOM PS3.18, sections 10.4 (Retrieve Transaction, WADO-RS) and 10.6 (Search Transaction, QIDO-RS).
    """
    fetch(url, root, query or {}, credentials=credentials)
    folder_options = dict(folder or {})
    known = [
        p for p in inspect.signature(dicom_folder.read).parameters if p not in ("root", "site", "cache", "vocabulary")
    ]
    if unknown := [key for key in folder_options if key not in known]:
        expected, do = f"options of dicom_folder ({', '.join(known)})", did_you_mean(str(unknown[0]), known)
        raise InputError("dicomweb, folder", expected, "others", examples=unknown, do=do)
    return dicom_folder.read(root, site=site, cache=cache, vocabulary=vocabulary, **folder_options)


def fetch(
    url: str, root: Path, query: Mapping[str, Any], *, credentials: str = "", progress: Progress | None = None
) -> int:
    """Retrieve the radiographs of the studies that a query finds.

    Parameters
    ----------
    url : str
        URL of the DICOMweb service.
    root : Path
        Folder for the instances.
    query : mapping
        Study-level matching keys of QIDO-RS by DICOM keyword.
    credentials : str
        Place of the credentials, see `read`.
    progress : callable, optional
        Called with (instances done, instances in all).

    Returns
    -------
    int
        Number of instances retrieved by this call.

    Notes
    -----
    Each file is written under a temporary name and renamed, so that an interrupted retrieval can resume.
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
    """Function that reads each response within the limits of size and time.

    The server controls how much it sends and how slowly; the session's time-out applies to a single read only.
    """
    import requests
    import urllib3

    refused: set[str] = set()  # dicomweb-client retries after every error

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
    """Study, Series and SOP Instance UIDs of the radiographs of the studies that the query finds."""
    import requests

    wanted = []
    try:
        for study in _all(_STUDY, client.search_for_studies, search_filters=dict(query)):
            for series in _all(_SERIES, client.search_for_series, study[0], fields=["Modality"]):
                if series[1] in _MODALITIES:
                    instances = _all(_INSTANCE, client.search_for_instances, study[0], series[0])
                    wanted += [(study[0], series[0], instance) for instance, _ in instances]
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
    """UID and modality of every result, page by page; a service without paging returns all results at once."""
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
    """Retrieve one instance; returns the reason of a failure, "" on success."""
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
