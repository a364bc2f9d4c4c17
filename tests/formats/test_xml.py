"""FHIR XML both ways, and what must never be read. (xml.html; security A77, A78)"""

import gzip
import io
import os
import socket
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from records import errors
from records.formats import json, narrative, xml

from .tables import body, name, table

CASE_TABLE = table("xml.json")
EXAMPLES = Path(__file__).parents[3] / "shared" / "data" / "examples"
FHIR = 'xmlns="http://hl7.org/fhir"'


@pytest.mark.parametrize("row", CASE_TABLE["read"], ids=name)
def test_read(row):
    tree = xml.parse(body(row))
    assert json.dump(tree).decode() == row["dumped"] if "dumped" in row else json.text_equal(tree, row["tree"])
    assert json.text_equal(xml.parse(xml.dump(tree)), tree)
    assert json.text_equal(xml.parse(xml.dump_pretty(tree)), tree)


@pytest.mark.parametrize("row", CASE_TABLE["refused"], ids=name)
def test_refused(row):
    with pytest.raises(errors.InvalidXML) as caught:
        xml.parse(body(row))
    assert caught.value.status == 400
    assert row["says"] in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("row", CASE_TABLE["written"], ids=name)
def test_written(row):
    assert xml.dump(row["tree"]).decode() == '<?xml version="1.0" encoding="UTF-8"?>' + row["xml"]
    etree.fromstring(xml.dump(row["tree"]))


@pytest.mark.parametrize("row", CASE_TABLE["not_written"], ids=name)
def test_not_written(row):
    with pytest.raises(errors.InvalidStructure) as caught:
        xml.dump(row["tree"])
    assert row["says"] in str(caught.value)


def test_pretty():
    assert xml.dump_pretty({"resourceType": "Patient", "name": [{"given": ["A"]}]}).decode() == (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Patient {FHIR}>\n  <name>\n    <given value="A"/>\n  </name>\n'
        "</Patient>"
    )


def test_stored_bytes_inside_a_tree():
    entry = {"resource": msgspec.Raw(b'{"resourceType":"Observation","valueQuantity":{"value":1.10}}')}
    data = xml.dump({"resourceType": "Bundle", "type": "searchset", "entry": [entry]})
    assert b'<Observation><valueQuantity><value value="1.10"/></valueQuantity></Observation>' in data
    assert xml.dump(msgspec.Raw(b'{"resourceType":"Basic"}')).endswith(f"<Basic {FHIR}/>".encode())


def test_the_fault_names_the_element():
    with pytest.raises(errors.InvalidXML) as caught:
        xml.parse(f'<Bundle {FHIR}><entry/><entry><resource><Patient><name/><active value="x"/>'.encode())
    assert caught.value.issues[0].expression == "Bundle.entry[1].resource" and "<active>" in str(caught.value)


# -- attacks


@pytest.fixture
def trap(tmp_path):
    """A file that nobody can open without hanging, and an address that notices every visitor."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield f"file://{pipe}", f"http://127.0.0.1:{server.getsockname()[1]}/x"
        with pytest.raises(BlockingIOError):  # nobody called
            server.accept()


OUTSIDE = {
    "entity": '<!DOCTYPE Patient [<!ENTITY x SYSTEM "{0}">]><Patient {1}><name><family value="A"/>&x;</name></Patient>',
    "entity in an attribute": '<!DOCTYPE Patient [<!ENTITY x SYSTEM "{0}">]><Patient {1}><id value="&x;"/></Patient>',
    "parameter entity": '<!DOCTYPE Patient [<!ENTITY % x SYSTEM "{0}"> %x;]><Patient {1}/>',
    "DTD": '<!DOCTYPE Patient SYSTEM "{0}"><Patient {1}/>',
    "public DTD": '<!DOCTYPE Patient PUBLIC "-//X//EN" "{0}"><Patient {1}/>',
    "XInclude": '<Patient {1}><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{0}"/></Patient>',
    "schemaLocation": '<Patient {1} xmlns:s="http://www.w3.org/2001/XMLSchema-instance" s:schemaLocation="x {0}"/>',
    "noNamespaceSchemaLocation": '<Patient {1} xmlns:s="http://www.w3.org/2001/XMLSchema-instance"'
    ' s:noNamespaceSchemaLocation="{0}"/>',
    "entity in a narrative": '<!DOCTYPE Patient [<!ENTITY x SYSTEM "{0}">]><Patient {1}><text>'
    '<div xmlns="http://www.w3.org/1999/xhtml">&x;</div></text></Patient>',
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize("place", [0, 1], ids=["file", "network"])
def test_nothing_outside_the_document_is_read(text, place, trap):
    with pytest.raises(errors.InvalidXML):
        xml.parse(text.format(trap[place], FHIR).encode())


@pytest.mark.timeout(10)
@pytest.mark.parametrize("place", [0, 1], ids=["file", "network"])
def test_a_style_sheet_is_not_read(place, trap):
    text = f'<?xml-stylesheet type="text/xsl" href="{trap[place]}"?><Patient {FHIR}/>'
    assert xml.parse(text.encode()) == {"resourceType": "Patient"}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("place", [0, 1], ids=["file", "network"])
def test_nothing_outside_a_narrative_in_json_is_read(place, trap):
    div = f'<!DOCTYPE div [<!ENTITY x SYSTEM "{trap[place]}">]><div xmlns="http://www.w3.org/1999/xhtml">&x;</div>'
    assert "DOCTYPE" in narrative.fault(div)
    with pytest.raises(errors.InvalidStructure):
        xml.dump({"resourceType": "Patient", "text": {"status": "generated", "div": div}})


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
BOMBS = {
    "billion laughs": f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><Patient {FHIR}><id value="&l11;"/></Patient>',
    "billion laughs in text": f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><Patient {FHIR}>&l11;</Patient>',
    "quadratic": f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]><Patient {FHIR}><id value="{"&a;" * 50_000}"/></Patient>',
    "parameter entities": f'<!DOCTYPE x [<!ENTITY % a "{"a" * 50_000}">{"%a;" * 1000}]><Patient {FHIR}/>',
    "default attributes": f'<!DOCTYPE x [<!ATTLIST Patient id CDATA "x">]><Patient {FHIR}/>',
    "levels": f"<Patient {FHIR}>" + "<name>" * 500_000,
    "levels of a narrative": f'<Patient {FHIR}><text><div xmlns="http://www.w3.org/1999/xhtml">' + "<b>" * 100_000,
    "prefixes of a narrative": f'<Patient {FHIR} xmlns:h="http://www.w3.org/1999/xhtml"><text><h:div>'
    + "<h:b>" * 100_000
    + "</h:b>" * 100_000
    + "</h:div></text></Patient>",
    "attributes": f"<Patient {FHIR} " + " ".join(f'a{i}="x"' for i in range(20_000)) + "/>",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused(text):
    data = text.encode()
    with pytest.raises(errors.InvalidXML):
        xml.parse(data)


# -- laws


def examples():
    for path in sorted(EXAMPLES.glob("*.ndjson.gz")):
        for i, line in enumerate(gzip.decompress(path.read_bytes()).splitlines()):
            if line.strip():
                yield pytest.param(line, id=f"{path.name.partition('.')[0]}-{i}")


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the official examples are not beside this checkout")
@pytest.mark.parametrize("data", list(examples()))
def test_law_official_examples_come_back(data):
    """JSON -> XML -> JSON is the same tree with the same texts of numbers, plain and indented."""
    tree = json.parse(data)
    text = xml.dump(tree)
    assert json.same(xml.parse(text), tree)
    assert json.same(xml.parse(xml.dump_pretty(tree)), tree)
    # An independent parser finds the same document in both forms.
    assert _canonical(text) == _canonical(xml.dump_pretty(tree))


def _canonical(text):
    root = etree.fromstring(text, etree.XMLParser(resolve_entities=False))
    for element in root.iter("{http://hl7.org/fhir}*"):
        element.text = element.tail = None
    for div in root.iter("{http://www.w3.org/1999/xhtml}div"):
        if div.getparent().tag.startswith("{http://hl7.org/fhir}"):
            div.tail = None
    out = io.BytesIO()
    root.getroottree().write_c14n(out)
    return out.getvalue()


_texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff", include_characters="\t\n\r"),
    min_size=1,
    max_size=10,
)
_extensions = st.lists(st.fixed_dictionaries({"url": _texts, "valueString": _texts}), min_size=1, max_size=2)
_companions = st.fixed_dictionaries({}, optional={"id": _texts, "extension": _extensions}).filter(bool)
_decimals = st.from_regex(r"\A-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?\Z")


@st.composite
def _given(draw):
    """A repeated primitive with aligned companions, as keys of a HumanName."""
    pairs = draw(st.lists(st.tuples(st.none() | _texts, st.none() | _companions).filter(any), min_size=1, max_size=4))
    values, companions = [v for v, _ in pairs], [c for _, c in pairs]
    return ({"given": values} if any(values) else {}) | ({"_given": companions} if any(companions) else {})


@settings(max_examples=200, deadline=None)
@given(_given(), _companions, _texts, _decimals)
def test_law_json_to_xml_to_json(names, companion, text, decimal):
    value = json.integer(decimal) if decimal.lstrip("-").isdigit() else json.number(decimal)
    tree = {
        "resourceType": "Patient",
        "extension": [{"url": text, "valueDecimal": value}],
        "active": True,
        "_active": companion,
        "name": [{"family": text, **names}],
        "_birthDate": companion,
    }
    assert json.same(xml.parse(xml.dump(tree)), tree)
    assert json.same(xml.parse(xml.dump_pretty(tree)), tree)


_PIECES = (
    *(
        f"<Patient {FHIR}>",
        "</Patient>",
        "<name>",
        "</name>",
        '<given value="a"/>',
        '<active value="true">',
        "</active>",
    ),
    *("<text>", "</text>", '<div xmlns="http://www.w3.org/1999/xhtml">', "</div>", "<b>", "</b>", "x", "&amp;", "&x;"),
    *("<contained>", "</contained>", "<Basic>", "</Basic>", "<!-- -->", "<![CDATA[", "]]>", "<extension/>", "\x00"),
)
_pieces = st.sampled_from(_PIECES)


@settings(max_examples=400, deadline=None)
@given(st.lists(_pieces, max_size=10).map("".join))
def test_law_any_text_is_a_tree_or_invalid_xml(text):
    try:
        tree = xml.parse(text.encode())
    except errors.InvalidXML:
        return
    assert json.same(xml.parse(xml.dump(tree)), tree)


def test_what_xml_may_nest_json_may_too():
    """A resource that came as XML is stored as JSON, which must be readable again."""
    for levels in range(40, 60):
        text = f"<Patient {FHIR}>" + '<extension url="x">' * levels + "</extension>" * levels
        try:
            tree = xml.parse(f"{text}</Patient>".encode())
        except errors.InvalidXML as error:
            assert "nesting beyond" in str(error)
            break
        assert json.text_equal(json.parse(json.dump(tree)), tree)
    assert levels == 50  # an object and an array for each, and the resource itself
