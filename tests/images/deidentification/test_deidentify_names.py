import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from overread.images.deidentification import Deidentification, Key
from overread.images.deidentification.cleaning import cleaned
from overread.images.deidentification.search.byte_search import found_in, needles
from overread.images.deidentification.search.known_words import is_term, kept
from overread.images.deidentification.search.person_names import Names
from overread.images.deidentification.search.removed_values import Removed
from overread.images.deidentification.search.residual_check import residual

KEY = Key(bytes(range(32)))


def names_of(*persons):
    names = Names()
    for person in persons:
        names.add_person(person)
    return names


@pytest.mark.parametrize(
    ("person", "text"),
    [
        ("山田^太郎", "山田 太郎"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "seen by ヤマダ"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "홍길동"),
        ("Wang^Wei=王^伟", "病人王伟。"),
        ("Ng^Bo", "NG BO"),
        ("Li^Wu", "li, wu"),
        ("Zumbach^Ottilie", "ZUMBACHOTTILIE"),
        ("Zumbach^Ottilie", "ottiliezumbach"),
        ("Zumbach^Ottilie", "xzumbachx"),
        ("Zumbach^Ottilie", "Z U M B A C H O T T I L I E"),
        ("Nuñez^José", "NUNEZ JOSE"),
        ("Nunez^Jose", "Nuñez"),
        ("Müller^Jörg", "MUELLER JOERG"),
        ("Müller^Jörg", "Muller"),
        ("Mueller^Joerg", "Müller"),
        ("Mueller", "MULLER"),
        ("Strauß^Zoë", "STRAUSS"),
        ("Łukasz^Øst", "lukasz"),
        ("Sæther^Bjørn", "SAETHER"),
        ("Ångström", "AANGSTROEM"),
        ("Иванов^Фёдор", "ИВАНОВ ФЕДОР"),
        ("Παπαδόπουλος", "ΠΑΠΑΔΟΠΟΥΛΟΣ"),
        ("الهاشمي^مُحَمَّد", "محمد"),
        ("O'Brien^Pat", "OBRIEN"),
        ("O'Brien^Pat", "O’BRIEN"),
        ("Meyer-Schmidt^A", "meyerschmidt"),
        ("van der Berg^Jan", "VANDERBERG"),
        ("Meier^H", "ME\u200bIER"),
        ("Müller^J", "Mu\u0308ller"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ"),
        ("प्रिया^शर्मा", "शर्मा"),
        ("สมชาย^ใจดี", "คุณสมชาย"),
    ],
)
def test_a_name_is_found_as_a_person_would_recognise_it(person, text):
    assert names_of(person).find(text)


@pytest.mark.parametrize(
    ("person", "text"),
    [
        ("Li^Na", "final image"),
        ("van der Berg^Jan", "grid van"),
        ("Ng^Bo", "bone angle"),
        ("J^K", "J K L"),
        ("XX^XX", "XX"),
        ("Anna^Lee", "Leeds"),
        ("王^伟", "主任医师"),
    ],
)
def test_other_words_are_no_names(person, text):
    assert names_of(person).find(text) == set()


LETTERS = {
    "Latin": "abcdefghijklmnopqrstuvwxyzäöüßéèñçøåłšž",
    "Cyrillic": "абвгдежзийклмнопрстуфхцчшщыэюяё",
    "Greek": "αβγδεζηθικλμνξοπρστυφχψωάέή",
    "Chinese": "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高",
    "Korean": "김이박최정강조윤장임한오서신권황안송류전홍",
    "kana": "アイウエオカガキクケコサシスセソタナハマヤラワン",
}
persons = st.sampled_from(sorted(LETTERS)).flatmap(
    lambda script: st.lists(st.text(LETTERS[script], min_size=3, max_size=9), min_size=2, max_size=2)
)
CHANGES = {
    "same": lambda a, b: f"{a} {b}",
    "upper": lambda a, b: f"{a.upper()}, {b.upper()}",
    "joined": lambda a, b: a + b,
    "turned and joined": lambda a, b: b + a,
    "decomposed": lambda a, b: unicodedata.normalize("NFD", f"{a} {b}"),
    "alone": lambda a, b: f"seen with {b} today",
    "bare": lambda a, b: "".join(c for c in unicodedata.normalize("NFD", a) if unicodedata.category(c) != "Mn"),
    "invisible": lambda a, b: f"{a[0]}\u200b{a[1:]}",
    "wide": lambda a, b: "".join(chr(ord(c) + 0xFEE0) if "a" <= c <= "z" else c for c in a),
}


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(persons, st.sampled_from(sorted(CHANGES)))
def test_a_name_of_any_script_is_found_however_it_is_written(person, change):
    assert names_of("^".join(person)).find(CHANGES[change](*person))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(persons, st.sampled_from(["utf_8", "utf_16_le", "utf_16_be", "gb18030"]), st.binary(max_size=40))
def test_a_name_is_found_among_bytes_in_any_encoding(person, encoding, around):
    removed = Removed(names_of("^".join(person)))
    data = around + "".join(person).encode(encoding) + around
    assert found_in(data, needles(removed))


def test_a_letter_that_folds_into_two_is_found_as_it_is_written():
    removed = Removed(names_of("aaa^aaß"))
    assert found_in("aaaaaß".encode(), needles(removed))
    assert found_in("AAAAAẞ".lower().encode(), needles(removed))


def test_a_name_among_pixels_counts_only_where_it_is_no_coincidence():
    import numpy as np

    wanted = needles(Removed(names_of("Meierhofer^Hannelore")))
    rng = np.random.default_rng(1)
    bright = rng.integers(140, 220, 200_000).astype(np.uint8)
    assert not found_in(bright.tobytes(), wanted, chance=True)
    bright[5_000:5_010] = np.frombuffer(b"Meierhofer", np.uint8)
    assert found_in(bright.tobytes(), wanted, chance=True)
    dark = rng.integers(ord("e"), ord("o"), 200_000).astype(np.uint8)
    assert not found_in(dark.tobytes(), needles(Removed(names_of("Feng^Hong"))), chance=True)


def header(**tags):
    made = Dataset()
    made.SOPClassUID, made.Modality = "1.2.840.10008.5.1.4.1.1.1", "CR"
    made.PatientID, made.SOPInstanceUID, made.StudyInstanceUID = "MRN00871", "1.2.99.3", "1.2.99.1"
    for word, value in tags.items():
        setattr(made, word, value)
    return made


def left(made, **later):
    clean, state = cleaned(made, KEY, Deidentification())
    for word, value in later.items():
        setattr(clean, word, value)
    return residual(clean, state.removed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("person", "text"),
    [
        ("山田^太郎", "山田 太郎"),
        ("홍^길동", "홍길동"),
        ("王^伟", "王伟"),
        ("Ng^Bo", "NG BO"),
        ("Zumbach^Ottilie", "ZUMBACHOTTILIE"),
        ("Nuñez^José", "NUNEZ JOSE"),
        ("Müller^Jörg", "MUELLER JOERG"),
    ],
)
def test_the_residual_check_compares_names_as_a_person_would(person, text):
    made = header(SpecificCharacterSet="ISO_IR 192", PatientName=person)
    assert left(made, StationName=text) == ["0008,1010"]


def test_numbers_are_found_without_their_punctuation_and_as_letters():
    assert left(header(PatientID="0047-118-22"), StationName="R4711822") == ["0008,1010"]
    assert left(header(PatientID="4711822"), ExposureInuAs=4711822) == ["0018,1153"]
    assert left(header(PatientName="Doe^Jane"), FrameNumbersOfInterest=[74, 97, 110, 101]) == ["0028,6020"]


def test_a_name_in_another_encoding_than_the_file_states_is_found():
    made = header(SpecificCharacterSet="ISO_IR 100")
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    stored = "王小明".encode("gb18030")
    made._dict[Tag(0x00100010)] = RawDataElement(Tag(0x00100010), "PN", len(stored), stored, 0, False, True)
    assert left(made, StationName="王小明") == ["0008,1010"]


@pytest.mark.parametrize(
    "tags",
    [
        {"PatientName": "Basic^Profile"},
        {"PatientName": "Clean^Option"},
        {"PatientName": "Pydicom^Retain"},
        {"PatientName": "Hand^Anna", "BodyPartExamined": "HAND"},
        {"OperatorsName": "PA", "ViewPosition": "PA"},
        {"InstitutionName": "Philips Klinik", "Manufacturer": "Philips Medical Systems"},
        {"InstitutionName": "Varian Hospital", "Manufacturer": "Varian"},
        {"PatientName": "Ge^Li", "Manufacturer": "GE"},
        {"PatientName": "XX^XX", "StationName": "XX"},
    ],
)
def test_words_of_the_standard_and_of_the_manufacturer_are_no_false_alarm(tags):
    clean, state = cleaned(header(**tags), KEY, Deidentification())
    assert residual(clean, state.removed) == []


def test_the_manufacturer_of_the_device_is_removed_where_a_patient_is_named_like_it():
    clean, state = cleaned(header(PatientName="Varian^Ottilie", Manufacturer="Varian"), KEY, Deidentification())
    assert "Manufacturer" not in clean
    assert state.done["0008,0070", "removed: may name a person"] == 1
    assert residual(clean, state.removed) == []


PRODUCT = ["Manufacturer", "ManufacturerModelName", "SoftwareVersions"]
STATION = [
    "StationName",
    "DeviceSerialNumber",
    "DetectorID",
    "PlateID",
    "CassetteID",
    "DeviceDescription",
    "StationAETitle",
    "PerformedStationName",
    "LensMake",
]


@pytest.mark.slow
@pytest.mark.parametrize("tag", STATION)
@settings(max_examples=20, deadline=None)
@given(
    st.text(
        st.characters(min_codepoint=33, max_codepoint=0x3FF, exclude_categories=("C", "Z"), exclude_characters="\\"),
        min_size=1,
        max_size=16,
    )
)
def test_text_of_a_device_is_a_pseudonym_that_keeps_devices_apart(tag, text):
    made = [cleaned(header(**{tag: t}), KEY, Deidentification())[0].get(tag) for t in (text, text, f"{text[:15]}~")]
    assert made[0] == made[1] == KEY.word(" ".join(text.split()))
    assert (made[0] == made[2]) == (text == f"{text[:15]}~")


@pytest.mark.slow
@pytest.mark.parametrize("tag", PRODUCT)
@pytest.mark.parametrize(
    "text",
    [
        "h.zwiebel@klinik.de",
        "http://klinik",
        "+49 6221",
        "Ext 4711822",
        "born 31.1.1950",
        "31.01.50",
        "1950-01-31",
        "1950/1/31",
        "31Jan1950",
        "31. Januar 1950",
        "Jan 31, 1950",
        "Dr Zwiebel",
        "DR. ZWIEBEL",
        "Prof.Zwiebel",
        "Herr Zwiebel",
        "Frau Zwiebel",
        "Mr Zwiebel",
        "MRS ZWIEBEL",
        "geb. Zwiebel",
        "Zumbach",
        "ZUMB",
        "Zumbachs",
        "Müllerin",
        "MUELL",
        "OTTILIEZUMBACH",
        "３１．０１．１９５０",
        "31_01_1950",
    ],
)
def test_a_product_that_may_name_a_person_is_removed(tag, text):
    made = header(SpecificCharacterSet="ISO_IR 192", PatientName="Zumbach^Ottilie^Müller", **{tag: text})
    clean, state = cleaned(made, KEY, Deidentification())
    assert tag not in clean
    assert [n for (_, what), n in state.done.items() if what == "removed: may name a person"] == [1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "SIEMENS",
        "Siemens Healthineers",
        "GE Healthcare",
        "AGFA DR",
        "DR 600",
        "Optima XR640",
        "Philips Medical Systems",
        "DigitalDiagnost C90",
        "VF22A",
        "4.1.5.17",
        "PMS81.101.1.1 GXR",
        "DRX-Evolution",
        "AXIOM Aristos FX",
        "MR 450",
        "Fluorospot Compact FD",
        "Samsung Electronics",
        "Ysio",
    ],
)
def test_products_stay_as_they_are(text):
    tags = dict.fromkeys(PRODUCT, text)
    clean, _ = cleaned(header(PatientName="Zumbach^Ottilie", **tags), KEY, Deidentification())
    assert [clean.get(tag) for tag in PRODUCT] == [text] * 3


@pytest.mark.slow
def test_descriptors_keep_known_words_that_are_no_name_of_the_file():
    assert kept("Hand PA, Mr. Hand", frozenset({"hand"})) == "PA"
    clean, _ = cleaned(header(PatientName="Hand^Ann", StudyDescription="Hand PA"), KEY, Deidentification())
    assert clean.StudyDescription == "PA"
    assert is_term("DERIVED")
    assert not is_term("ZUMBACH")
