"""Radiographs from a PACS over DICOMweb: found by QIDO-RS, fetched once by WADO-RS into a folder, read as any DICOM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from overread.datasets import dicom_folder
from overread.errors import InputError
from overread.tables import RADIOGRAPHS, Source, make_folder, replacing
from overread.tables.records import read_text

_MODALITIES = (*RADIOGRAPHS, "DR", "XR")  # the last two are no terms of DICOM, but devices write them
_ANY_SYNTAX = (("application/dicom", "*"),)  # as it is stored: nothing is encoded anew on the way
_STUDY, _SERIES, _INSTANCE, _MODALITY = "0020000D", "0020000E", "00080018", "00080060"

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
) -> Source:
    """Fetch the radiographs that a query finds, then read them with `dicom_folder`.

    Parameters
    ----------
    root: the folder that the instances are put into (STUDY/SERIES/INSTANCE.dcm); what is there is not fetched again.
    url: of the DICOMweb service, such as "https://pacs.hospital/dicom-web".
    site: what the tables call the institution.
    query: of the studies, in DICOM's words: {"StudyDate": "20200101-20201231", "ModalitiesInStudy": "DX"}.
    credentials: a file with one line, "user:password" or a bearer token; never a value on the command line.
    folder: the options of `dicom_folder` (labels, key, columns, form, workers).

    Raises InputError: a service that cannot be reached or refuses, a query that finds nothing, instances that could not
    be fetched (what was fetched stays; run it again for the rest), and what `dicom_folder` raises.
    """
    fetch(url, root, query or {}, credentials=credentials)
    return dicom_folder.read(root, site=site, **dict(folder or {}))


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
            url, "every instance that was found", f"{len(lost):,} of {len(wanted):,} that could not be fetched",
            examples=lost, do="Run it again: what is there is not fetched again.",
        )  # fmt: skip
    return len(missing)


def _client(url: str, credentials: str) -> Any:
    try:
        import requests
        from dicomweb_client.api import DICOMwebClient
    except ModuleNotFoundError as error:
        do = "pip install 'overread[clinic]'."
        raise InputError("dicomweb", "dicomweb-client", "an installation without it", do=do) from error
    session = requests.Session()
    if credentials:
        secret = read_text(Path(credentials), "a file with user:password or a token").strip()
        user, colon, password = secret.partition(":")
        if colon:
            session.auth = (user, password)
        else:
            session.headers["Authorization"] = f"Bearer {secret}"
    try:
        client = DICOMwebClient(url=url, session=session, timeout=60)
    except (ValueError, TypeError) as error:
        raise InputError("dicomweb, url", "the address of a DICOMweb service", f"'{url}' ({error})") from error
    client.set_http_retry_params(max_attempts=4, wait_exponential_multiplier=500)
    return client


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
        do = "Give `credentials`, a file with user:password or a token." if code in (401, 403) else "Check the query."
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
        if len(page) < _PAGE or len(found) == known:
            return list(found.items())


def _value(record: Mapping[str, Any], tag: str) -> str:
    values = record.get(tag, {}).get("Value") or [""]
    return str(values[0])


def _place(root: Path, ids: tuple[str, str, str]) -> Path:
    for uid in ids:
        if not uid or set(uid) - set("0123456789."):  # a name that could lead out of the folder is none
            raise InputError("dicomweb", "unique identifiers of digits and dots", repr(uid))
    return root / ids[0] / ids[1] / f"{ids[2]}.dcm"


def _fetched(client: Any, ids: tuple[str, str, str], path: Path) -> str:
    """Fetch one instance; why it could not be, "" where it was."""
    import requests
    from pydicom.errors import InvalidDicomError

    try:
        dataset = client.retrieve_instance(*ids, media_types=_ANY_SYNTAX)
    except (requests.exceptions.RequestException, InvalidDicomError, ValueError, OSError, EOFError) as error:
        return " ".join(str(error).split())[:120] or type(error).__name__
    if str(dataset.get("SOPInstanceUID", "")) != ids[2]:
        return f"another instance was sent ({dataset.get('SOPInstanceUID', 'none')})"
    make_folder(path.parent)
    with replacing(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
    return ""
