"""Required bindings: the code is in the value set, as far as it can be enumerated. (terminologies.html#required)"""

from records.definitions import valuesets

from .findings import Finding, excerpt


def binding(element):
    """A checker for the value of an element with a required binding, or None when nothing can be checked."""
    if not element.binding or element.binding[0] != "required":
        return None
    maker = MAKERS.get(element.type)
    return maker(element.binding[1]) if maker and valuesets.codes(element.binding[1]) is not None else None


def expected(url: str) -> str:
    """The codes for a sentence, or the name of the value set when they are many."""
    codes = sorted(valuesets.codes(url))
    return "one of " + ", ".join(codes) if len(codes) <= 12 else f"a code of {url}"


def code(url: str):
    """code, string, uri: the system is implied."""
    codes = valuesets.codes(url)

    def check(value, parent, depth):
        if value in codes:
            return None
        return [Finding("code-invalid", f"{excerpt(value)} is not allowed here; expected {expected(url)}")]

    return check


def outside(coding, pairs, systems) -> bool:
    """The coding is not in the value set. One without system is judged by no system: it is not in it."""
    return (coding.get("system"), coding.get("code")) not in pairs


def coding(url: str):
    pairs, systems = valuesets.pairs(url), valuesets.systems(url)

    def check(value, parent, depth):
        if value.get("code") is None or not outside(value, pairs, systems):
            return None
        text = f"{excerpt(value.get('code'))} of {value.get('system')} is not allowed here; expected {expected(url)}"
        return [Finding("code-invalid", text)]

    return check


def codeable_concept(url: str):
    """One of the codings is in the value set; text alone is not enough. (terminologies.html#required)"""
    pairs, systems = valuesets.pairs(url), valuesets.systems(url)

    def check(value, parent, depth):
        codings = [c for c in value.get("coding") or () if c.__class__ is dict]
        if any(not outside(c, pairs, systems) for c in codings):
            return None
        if not codings and "text" not in value:
            return None
        given = ", ".join(f"{c.get('system')}|{c.get('code')}" for c in codings) or "text alone"
        return [Finding("code-invalid", f"{excerpt(given)} is not allowed here; expected {expected(url)}")]

    return check


MAKERS = {
    "code": code,
    "string": code,
    "uri": code,
    "Coding": coding,
    "Quantity": coding,
    "CodeableConcept": codeable_concept,
}
