"""What a search means, read from the specification over plain resources: no index, no SQL, nothing of ours.

`meets(population, resource, name, value)` says whether one resource satisfies one parameter; `expressed` the same of a
tree of _filter. They know the parameters and the kinds of values that the laws draw, and refuse others.
"""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal

UCUM = "http://unitsofmeasure.org"
GRAMS = {"mg": Decimal("0.001"), "g": Decimal(1), "kg": Decimal(1000)}
ENDLESS = Decimal("Infinity")
PREFIX = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.S)
PARTICLE = re.compile(r"^(?:d|de|la|le) ")
CLINICAL = {"recurrence": "active", "relapse": "active", "remission": "inactive", "resolved": "inactive"}


def meets(population, resource, name, value):
    """Does a resource satisfy `name=value`? (search.html)"""
    if name == "_filter":
        return expressed(population, resource, value)
    if name.startswith("_has:"):
        return has(population, resource, name, value)
    head, dot, rest = name.partition(".")
    if dot:
        return any(meets(population, target, rest, value) for target in referred(population, resource, head))
    code, _, modifier = name.partition(":")
    if modifier == "missing":
        return (not elements(resource, code)) == (value == "true")
    if modifier == "not":
        return not meets(population, resource, code, value)
    found = elements(resource, code)
    matches = MATCHES[KINDS[code]]
    return any(matches(item, text, modifier) for item in found for text in value.split(","))


def has(population, resource, name, value):
    """Does something that refers here satisfy the rest? (search.html#has)"""
    _, source, reference, rest = name.split(":", 3)
    place = f"{resource['resourceType']}/{resource['id']}"
    return any(
        place in elements(each, reference) and meets(population, each, rest, value)
        for each in population
        if each["resourceType"] == source
    )


def expressed(population, resource, tree):
    """Does a resource satisfy a tree of _filter: ("and", a, b), ("or", a, b), ("not", a) or (path, operator, value)?"""
    match tree:
        case ("and", a, b):
            return expressed(population, resource, a) and expressed(population, resource, b)
        case ("or", a, b):
            return expressed(population, resource, a) or expressed(population, resource, b)
        case ("not", a):
            return not expressed(population, resource, a)
    path, operator, value = tree
    head, dot, rest = path.partition(".")
    if dot:
        return any(expressed(population, t, (rest, operator, value)) for t in referred(population, resource, head))
    if operator == "pr":
        return bool(elements(resource, path)) == (value == "true")
    kind = KINDS[path]
    if kind in ("quantity", "date"):
        return meets(population, resource, path, value if operator == "eq" else operator + value)
    if operator == "ne":
        return not expressed(population, resource, (path, "eq", value))
    if kind == "string":
        texts = {form for item in elements(resource, path) for form in forms(item)}
        return any(COMPARED[operator](text, folded(value)) for text in texts)
    return meets(population, resource, path, value)


def written(tree):
    """The tree as the text of a _filter."""
    match tree:
        case ("and" | "or" as word, a, b):
            return f"({written(a)}) {word} ({written(b)})"
        case ("not", a):
            return f"not ({written(a)})"
    return " ".join((tree[0], tree[1], f'"{tree[2]}"' if " " in tree[2] else tree[2]))


COMPARED = {
    "eq": lambda text, value: text == value,
    "co": lambda text, value: value in text,
    "sw": lambda text, value: text.startswith(value),
    "ew": lambda text, value: text.endswith(value),
}


# what a parameter is of


def elements(resource, code):
    """The items that a parameter stands for."""
    components = resource.get("component", [])
    values = [resource["valueQuantity"]] if "valueQuantity" in resource else []
    inner = [c["valueQuantity"] for c in components if "valueQuantity" in c]
    match code:
        case "patient" | "subject":
            return [resource["subject"]["reference"]] if "subject" in resource else []
        case "code":
            return [resource["code"]] if resource["code"].get("coding") or resource["code"].get("text") else []
        case "status" | "gender" | "url":
            return [resource[code]] if code in resource else []
        case "clinical-status":
            return [resource["clinicalStatus"]] if "clinicalStatus" in resource else []
        case "name":
            return [n["family"] for n in resource.get("name", ())]
        case "birthdate":
            return [resource["birthDate"]] if "birthDate" in resource else []
        case "date":
            return [resource["effectiveDateTime"]] if "effectiveDateTime" in resource else []
        case "value-quantity":
            return values
        case "component-value-quantity":
            return inner
        case "combo-value-quantity":
            return values + inner
        case "code-value-quantity":
            return [(resource["code"], value) for value in values]
        case "component-code-value-quantity":
            return grouped(components)
        case "combo-code-value-quantity":
            return [(resource["code"], value) for value in values] + grouped(components)
    raise NotImplementedError(code)


def grouped(components):
    return [(c["code"], c["valueQuantity"]) for c in components if "valueQuantity" in c]


def referred(population, resource, code):
    code, _, type = code.partition(":")
    places = elements(resource, code)
    return [r for r in population if f"{r['resourceType']}/{r['id']}" in places and type in ("", r["resourceType"])]


# what a value says of an item


def reference(item, text, _):
    return text in (item, item.partition("/")[2])


def token(item, text, modifier):
    """A CodeableConcept, or a code."""
    if isinstance(item, str):
        return item == text.rpartition("|")[2]
    codings = item.get("coding", [])
    if modifier in ("text", "code-text"):
        known = [item.get("text"), *(c.get("display") for c in codings)]
        return any(re.search(r"(?:^| )" + re.escape(folded(text)), folded(each)) for each in known if each)
    system, bar, code = text.partition("|")
    if not bar:
        system, code = None, text
    if modifier in ("above", "below"):
        below = {code, *(c for c, parent in CLINICAL.items() if parent == code)}
        above = {code, CLINICAL.get(code, code)}
        return any(c["system"] == system and c["code"] in (above if modifier == "above" else below) for c in codings)
    return any(system in (None, c.get("system", "")) and code in ("", c["code"]) for c in codings)


def string(item, text, modifier):
    if modifier == "exact":
        return item == text
    test = COMPARED["co" if modifier == "contains" else "sw"]
    return any(test(form, folded(text)) for form in forms(item))


def forms(name):
    """A family name, with and without its particle."""
    text = folded(name)
    return {text, PARTICLE.sub("", text)}


def folded(text):
    text = unicodedata.normalize("NFKD", text.replace("Œ", "oe").replace("œ", "oe").lower())
    return re.sub(r"[^a-z0-9]+", " ", "".join(c for c in text if not unicodedata.combining(c))).strip()


def uri(item, text, modifier):
    match modifier:
        case "below":
            return item.startswith(text)
        case "above":
            return text.startswith(item)
    return item == text


def date(item, text, _):
    prefix, rest = PREFIX.fullmatch(text).groups()
    return ordered(prefix or "eq", *interval(item), *interval(rest))


def interval(text):
    """First and last microsecond of a partial date or time."""
    if "T" in text:
        low = datetime.fromisoformat(text).astimezone(UTC)
        return low, low + timedelta(seconds=1, microseconds=-1)
    parts = [int(p) for p in text.split("-")]
    low = datetime(*parts, *[1] * (3 - len(parts)), tzinfo=UTC)
    match parts:
        case [year]:
            high = datetime(year + 1, 1, 1, tzinfo=UTC)
        case [year, month]:
            high = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        case _:
            high = low + timedelta(days=1)
    return low, high - timedelta(microseconds=1)


def quantity(item, text, _):
    number, *unit = text.split("|")
    prefix, digits = PREFIX.fullmatch(number).groups()
    prefix, asked = prefix or "eq", Decimal(digits)
    wide = {"eq": 1, "ne": 1}.get(prefix, 0) * Decimal(5).scaleb(asked.as_tuple().exponent - 1)
    if prefix == "ap":
        wide = abs(asked) / 10
    low, high = asked - wide, asked + wide
    value = Decimal(item["value"])
    low_of = -ENDLESS if item.get("comparator", "")[:1] == "<" else value
    high_of = ENDLESS if item.get("comparator", "")[:1] == ">" else value
    if not unit:
        return ordered(prefix, low_of, high_of, low, high)
    system, code = unit
    if system in ("", UCUM) and code in GRAMS and item.get("system") == UCUM and item["code"] in GRAMS:
        each, wanted = GRAMS[item["code"]], GRAMS[code]
        return ordered(prefix, low_of * each, high_of * each, low * wanted, high * wanted)
    named = code in (item.get("code"), item.get("unit")) if not system else (
        (system, code) == (item.get("system"), item.get("code"))
    )  # fmt: skip
    return named and ordered(prefix, low_of, high_of, low, high)


def composite(item, text, _):
    """Both of the same group."""
    code, value = item
    wanted, number = text.split("$")
    return token(code, wanted, "") and quantity(value, number, "")


def ordered(prefix, low, high, a, b):
    """The table of prefixes, of an item's [low, high] and a value's [a, b]. (search.html#prefix)"""
    match prefix:
        case "eq":
            return a <= low and high <= b
        case "ne":
            return not (a <= low and high <= b)
        case "gt":
            return high > b
        case "lt":
            return low < a
        case "ge":
            return high >= a
        case "le":
            return low <= b
        case "sa":
            return low > b
        case "eb":
            return high < a
        case "ap":
            return low <= b and high >= a
    raise NotImplementedError(prefix)


MATCHES = {
    "reference": reference,
    "token": token,
    "string": string,
    "uri": uri,
    "date": date,
    "quantity": quantity,
    "composite": composite,
}
KINDS = {
    "patient": "reference",
    "subject": "reference",
    "code": "token",
    "status": "token",
    "gender": "token",
    "clinical-status": "token",
    "name": "string",
    "birthdate": "date",
    "date": "date",
    "url": "uri",
    **dict.fromkeys(("value-quantity", "component-value-quantity", "combo-value-quantity"), "quantity"),
    **dict.fromkeys(("code-value-quantity", "component-code-value-quantity", "combo-code-value-quantity"), "composite"),
}
