"""A small PACS that speaks QIDO-RS and WADO-RS, in this process; it fails as real ones do."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest

from overread import datasets, limits
from overread.datasets import dicomweb
from overread.errors import InputError


class Pacs:
    """What the server holds and how it misbehaves."""

    def __init__(self, folder):
        self.files, self.asked, self.fail, self.busy, self.cut, self.auth = {}, [], set(), 0, set(), ""
        self.folder, self.location = folder, ""

    def answer(self, handler):
        url = urlparse(handler.path)
        self.asked.append(handler.path)
        if self.auth and handler.headers.get("Authorization") != self.auth:
            return 401, "text/plain", b"no"
        parts = url.path.strip("/").split("/")
        if parts[-1] == "studies":
            asked = {k: int(v[0]) for k, v in parse_qs(url.query).items() if k in ("offset", "limit")}
            first, most = asked.get("offset", 0), asked.get("limit", 1000)
            studies = sorted({k[0] for k in self.files})[first : first + most]
            return self._json([{"0020000D": {"vr": "UI", "Value": [s]}} for s in studies])
        if parts[-1] == "series":
            own = sorted({(k[1], self.files[k][1]) for k in self.files if k[0] == parts[-2]})
            return self._json(
                [{"0020000E": {"vr": "UI", "Value": [s]}, "00080060": {"vr": "CS", "Value": [m]}} for s, m in own]
            )
        if parts[-1] == "instances":
            return self._json([{"00080018": {"vr": "UI", "Value": [k[2]]}} for k in self.files if k[1] == parts[-2]])
        uid = parts[-1]
        if self.busy:
            self.busy -= 1
            return 503, "text/plain", b"busy"
        if uid in self.fail:
            return 500, "text/plain", b"broken"
        data = next(v[0] for k, v in self.files.items() if k[2] == uid)
        data = data[: len(data) // 3] if uid in self.cut else data
        body = b"--frontier\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--frontier--\r\n"
        return 200, 'multipart/related; type="application/dicom"; boundary=frontier', body

    @staticmethod
    def _json(rows):
        return (200, "application/dicom+json", json.dumps(rows).encode()) if rows else (204, "text/plain", b"")


@pytest.fixture
def pacs(tmp_path, dicom_file, monkeypatch):
    held = Pacs(tmp_path)
    for i, modality in enumerate(["DX", "DX", "CT"]):
        ids = (f"1.2.{i}", f"1.2.{i}.1", f"1.2.{i}.1.1")
        path = dicom_file(
            tmp_path / "held" / f"{i}.dcm",
            PatientID=f"p{i}",
            StudyInstanceUID=ids[0],
            SeriesInstanceUID=ids[1],
            SOPInstanceUID=ids[2],
            Modality=modality,
        )
        held.files[ids] = (path.read_bytes(), modality)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, kind, body = held.answer(self)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if held.location:
                self.send_header("Location", held.location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    held.url = f"http://127.0.0.1:{server.server_port}/dicom-web"
    real = dicomweb._client

    def quick(url, credentials):
        client = real(url, credentials)
        client.set_http_retry_params(max_attempts=3, wait_exponential_multiplier=1)
        return client

    monkeypatch.setattr(dicomweb, "_client", quick)
    yield held
    server.shutdown()


def load(pacs, **options):
    given = {"url": pacs.url, "site": "north", "folder": {"workers": 1}, **options}
    return datasets.load("dicomweb", pacs.folder / "fetched", given)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["application/dicom+json", "text/plain"])
def test_an_answer_beyond_its_bytes_or_time_is_refused(pacs, monkeypatch, kind):
    monkeypatch.setattr(limits, "ANSWER_BYTES", 1000)
    monkeypatch.setattr(limits, "OBJECT_BYTES", 2000)
    monkeypatch.setattr(pacs, "answer", lambda handler: (200, kind, b"[" + b" " * 5000 + b"]"))
    with pytest.raises(InputError, match=r"an answer within .* bytes and 600 s; found an answer beyond"):
        load(pacs)
    monkeypatch.undo()
    monkeypatch.setattr(limits, "REQUEST_SECONDS", -1)
    with pytest.raises(InputError, match=r"an answer within .* bytes and -1 s"):
        load(pacs)


@pytest.mark.slow
def test_one_object_beyond_its_bytes_is_named_and_the_others_are_fetched(pacs, monkeypatch):
    ids, (data, modality) = next(iter(pacs.files.items()))
    pacs.files[ids] = (data + bytes(100_000), modality)
    monkeypatch.setattr(limits, "OBJECT_BYTES", 50_000)
    with pytest.raises(
        InputError, match=r"1 of 2 that could not be fetched \(1.2.0.1.1: an answer beyond 50,000 bytes"
    ):
        load(pacs)
    assert [p.name for p in (pacs.folder / "fetched").rglob("*.dcm")] == ["1.2.1.1.1.dcm"]


@pytest.mark.slow
def test_redirections_and_pages_without_end_are_refused(pacs, monkeypatch):
    def found(handler):
        rows = [{"0020000D": {"vr": "UI", "Value": [f"1.{len(pacs.asked)}.{n}"]}} for n in range(500)]
        pacs.asked.append(handler.path)
        return Pacs._json(rows)

    monkeypatch.setattr(pacs, "answer", found)
    monkeypatch.setattr(limits, "FOUND", 2000)
    with pytest.raises(InputError, match=r"at most 2,000 answers; found more. Narrow the query"):
        load(pacs)
    assert len(pacs.asked) == 5
    pacs.asked.clear()
    monkeypatch.setattr(pacs, "answer", lambda handler: (302, "text/plain", pacs.asked.append(1) or b""))
    monkeypatch.setattr(pacs, "location", "/again")
    with pytest.raises(InputError, match="redirects"):
        load(pacs)
    assert len(pacs.asked) <= 4 * (limits.REDIRECTS + 1)


@pytest.mark.slow
def test_options_of_the_folder_are_checked(pacs):
    with pytest.raises(InputError, match=r"options of dicom_folder .*found others \(lables\). Did you mean 'labels'"):
        load(pacs, folder={"lables": "a.csv"})


@pytest.mark.slow
def test_radiographs_are_fetched_once_and_read(pacs):
    pacs.busy = 1
    source = load(pacs, query={"StudyDate": "20200101-20201231"})
    assert source.images.select("image_id", "patient_id", "path").rows() == [
        ("1.2.0.1.1", "p0", "1.2.0/1.2.0.1/1.2.0.1.1.dcm"),
        ("1.2.1.1.1", "p1", "1.2.1/1.2.1.1/1.2.1.1.1.dcm"),
    ]
    assert "StudyDate=20200101-20201231" in pacs.asked[0]
    pacs.asked.clear()
    told = []
    fetched = dicomweb.fetch(pacs.url, pacs.folder / "fetched", {}, progress=lambda a, b: told.append((a, b)))
    assert (fetched, told) == (0, [(2, 2)])
    assert not [a for a in pacs.asked if "/instances/" in a]


@pytest.mark.slow
def test_a_service_with_pages_is_asked_for_all_of_them(pacs, monkeypatch):
    monkeypatch.setattr(dicomweb, "_PAGE", 1)
    assert len(dicomweb._found(dicomweb._client(pacs.url, ""), pacs.url, {})) == 2


@pytest.mark.slow
def test_what_could_not_be_fetched_is_named_and_fetched_the_next_time(pacs):
    pacs.fail = {"1.2.1.1.1"}
    with pytest.raises(InputError, match=r"1 of 2 that could not be fetched \(1.2.1.1.1: 500.*Run it again"):
        load(pacs)
    assert [p.name for p in (pacs.folder / "fetched").rglob("*.dcm")] == ["1.2.0.1.1.dcm"]
    pacs.fail = set()
    assert load(pacs).images.height == 2


@pytest.mark.slow
def test_a_cut_instance_is_not_kept(pacs):
    pacs.cut = {"1.2.0.1.1"}
    with pytest.raises(InputError, match="1 of 2 that could not be fetched"):
        load(pacs)
    assert not list((pacs.folder / "fetched").rglob("*.part"))


@pytest.mark.slow
def test_credentials_come_from_a_place_that_the_user_names(pacs, tmp_path, monkeypatch):
    pacs.auth = "Bearer secret"
    with pytest.raises(InputError, match=r"401 Unauthorized. Give `credentials`: env:NAME, netrc"):
        load(pacs)
    file = tmp_path / "token"
    file.write_text("secret\n")
    file.chmod(0o600)
    assert load(pacs, credentials=f"file:{file}").images.height == 2
    monkeypatch.setenv("PACS_TOKEN", "secret")
    assert load(pacs, credentials="env:PACS_TOKEN").images.height == 2
    pacs.auth = "Basic dTpw"
    file.write_text("u:p")
    assert load(pacs, credentials=f"file:{file}").images.height == 2
    file.write_text("machine 127.0.0.1 login u password p\n")
    assert load(pacs, credentials=f"netrc:{file}").images.height == 2


@pytest.mark.parametrize(
    ("place", "text", "mode", "said"),
    [
        ("file:{}", None, 0o600, "no file there"),
        ("file:{}", "hunter2", 0o640, "permissions 0640.*chmod 600 '"),
        ("netrc:{}", "machine 127.0.0.1 login u password hunter2", 0o604, "permissions 0604"),
        (
            "netrc:{}",
            "machine elsewhere login u password hunter2",
            0o600,
            "an entry for the host 127.0.0.1; found none",
        ),
        ("netrc:{}", "machine 127.0.0.1 hunter2", 0o600, "a netrc file; found an error"),
        ("env:NOT_SET_ANYWHERE", None, 0o600, "NOT_SET_ANYWHERE; found nothing"),
        ("hunter2", None, 0o600, "another text, which is not shown"),
    ],
)
@pytest.mark.slow
def test_credentials_that_are_missing_or_open_to_others_are_refused_unseen(pacs, tmp_path, place, text, mode, said):
    file = tmp_path / "secret"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    with pytest.raises(InputError, match=said) as error:
        load(pacs, credentials=place.format(file))
    assert "hunter2" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "url",
    ["http://u:hunter2@127.0.0.1/d", "http://127.0.0.1/d?token=hunter2", "//hunter2@h", "http://127.0.0.1/d#hunter2"],
)
def test_an_address_with_a_secret_is_refused_and_not_shown(pacs, url):
    with pytest.raises(InputError) as error:
        load(pacs, url=url)
    assert "hunter2" not in str(error.value)


@pytest.mark.slow
def test_services_and_queries_that_give_nothing_are_said(pacs):
    pacs.files.clear()
    with pytest.raises(InputError, match=r"radiographs that match \{'PatientID': '9'\}; found none"):
        load(pacs, query={"PatientID": "9"})
    with pytest.raises(InputError, match="a DICOMweb service; found none that answers"):
        load(pacs, url="http://127.0.0.1:9/dicom-web")
    with pytest.raises(InputError, match="the address of a DICOMweb service"):
        load(pacs, url="nonsense")


def test_an_identifier_that_leads_out_of_the_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="unique identifiers of digits and dots"):
        dicomweb._place(tmp_path, ("1.2", "../..", "1"))
    for uid in ("..", ".", "", "1..2", "1.", ".1", "1/2", "1\n", "1" * 65):
        with pytest.raises(InputError, match="unique identifiers of digits and dots"):
            dicomweb._place(tmp_path, ("1.2", "1.3", uid))
