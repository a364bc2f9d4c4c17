"""Do two servers find the same? Several hundred searches on the same resources, the answers compared as sets of ids.

python -m benchmarks compare --data DIR ...     DIR: Synthea Bundles (*.json.gz) or examples (*.ndjson.gz)

The values that are asked for are drawn from the resources. Where the two differ, EXPLAINED says why, as far as
docs/explanation/compared.md does; what nobody has explained fails the run.
"""

import gzip
import json
import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from .connection import Connection

EACH = 12  # examples of a type
BATCH = 50
PAGES = 40  # of an answer that are followed


@dataclass(frozen=True)
class Query:
    """A search, and by which it is known in the table of differences."""

    type: str
    name: str
    value: str
    kind: str  # of the parameter: token, string ...
    form: str  # what of it is tried: "code", ":not", "ge" ...

    @property
    def path(self):
        return f"{self.type}?{self.name}={quote(self.value, safe='')}&_count=1000"


@dataclass
class Agreement:
    """What a run found."""

    asked: int = 0
    alike: int = 0
    found: int = 0  # queries that found anything
    refused: dict = field(default_factory=lambda: defaultdict(Counter))  # server -> (kind, form) -> queries
    differ: list = field(default_factory=list)  # (query, reason or None, only the first, only the second)


# resources


def resources(folders, most=None):
    """The resources of Synthea Bundles, their references rewritten to Type/id, and some examples of each type."""
    found = {}
    for folder in folders:
        for path in sorted(folder.glob("*.json.gz"))[:most]:
            with gzip.open(path, "rt") as file:
                entries = json.load(file)["entry"]
            places = {e["fullUrl"]: f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries}
            text = json.dumps([e["resource"] for e in entries])
            for full_url, place in places.items():
                text = text.replace(f'"{full_url}"', f'"{place}"')
            found |= {(r["resourceType"], r["id"]): r for r in json.loads(text)}
        for path in sorted(folder.glob("*.ndjson.gz")):
            with gzip.open(path, "rt") as lines:
                some = [json.loads(line) for _, line in zip(range(EACH), lines, strict=False)]
            found |= {(r["resourceType"], r["id"]): r for r in some}
    return found


def load(connections, given):
    """Write the resources to both servers; those that both have taken."""
    taken = [set(), set()]
    every = list(given.items())
    for n, (target, connection) in enumerate(connections):
        for at in range(0, len(every), BATCH):
            entries = [
                {"resource": r, "request": {"method": "PUT", "url": f"{type}/{id}"}}
                for (type, id), r in every[at : at + BATCH]
            ]
            body = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}).encode()
            answer = json.loads(connection.ask(target.encode("POST", "", body)).body)
            for (key, _), entry in zip(every[at : at + BATCH], answer["entry"], strict=True):
                if entry["response"]["status"].startswith("2"):
                    taken[n].add(key)
    both = taken[0] & taken[1]
    for n, (target, connection) in enumerate(connections):
        for type, id in taken[n] - both:
            connection.ask(target.encode("DELETE", f"{type}/{id}"))
    return {key: given[key] for key in both}, [len(t) for t in taken]


# queries


def drawn(given, definitions, each, seed=1):
    """Queries of values that the resources have; some of each form of each parameter."""
    chance = random.Random(seed)
    by_type = defaultdict(list)
    for (type, _), resource in sorted(given.items()):
        by_type[type].append(resource)
    for definition in definitions:
        expression = definition.get("expression", "").partition(".where(resolve()")[0]
        for type in sorted(set(definition["base"]) & set(by_type)):
            own = " | ".join(part for part in expression.split("|") if f"{type}." in part)
            if not own:
                continue
            some = chance.sample(by_type[type], min(len(by_type[type]), 40))
            values = [value for resource in some for value in valued(resource, own)]
            forms = FORMS.get(definition["type"])
            if forms and values:
                queries = sorted({q for v in values for q in forms(type, definition["code"], v)}, key=repr)
                by_form = defaultdict(list)
                for query in queries:
                    by_form[query.form].append(query)
                for form in sorted(by_form):
                    yield from chance.sample(by_form[form], min(each, len(by_form[form])))


def valued(resource, expression):
    """What an expression yields; nothing where that engine cannot evaluate it: then it is not asked for."""
    import fhirpathpy
    from fhirpathpy.models import models

    try:
        return fhirpathpy.evaluate(resource, expression, {}, models["r4"])
    except Exception:
        return []


def _tokens(type, name, value):
    codings = value.get("coding", [value]) if isinstance(value, dict) else [{"code": value}]
    if value is True or value is False:
        codings = [{"code": "true" if value else "false"}]
    for coding in codings:
        system, code = coding.get("system"), coding.get("code") or coding.get("value")
        if not isinstance(code, str) or re.search(r"[,|$\\\s]", code):
            continue
        ask = lambda form, text, modifier="": Query(type, name + modifier, text, "token", form)  # noqa: E731
        yield ask("code", code)
        if isinstance(system, str) and "telecom" not in name and name not in ("phone", "email"):
            yield ask("system|code", f"{system}|{code}")
            yield ask("system|", f"{system}|")
        yield ask(":not", code, ":not")
        yield ask("|code", f"|{code}")
        yield ask("or", f"{code},nobody-has-this")
    yield Query(type, name + ":missing", "true", "token", ":missing")


def _strings(type, name, value):
    texts = [value] if isinstance(value, str) else []
    if isinstance(value, dict):
        for key in ("family", "given", "city", "country", "text"):
            part = value.get(key, [])
            texts += part if isinstance(part, list) else [part]
    for text in texts:
        if re.fullmatch(r"[^,|$\\]{3,60}", text):
            yield Query(type, name, text[:4].strip(), "string", "start")
            yield Query(type, name, text.upper(), "string", "upper")
            yield Query(type, name + ":exact", text, "string", ":exact")
            yield Query(type, name + ":contains", text[1:4].strip() or text, "string", ":contains")
    yield Query(type, name + ":missing", "false", "string", ":missing")


def _dates(type, name, value):
    texts = [value.get("start"), value.get("end")] if isinstance(value, dict) else [getattr(value, "asStr", value)]
    for text in texts:
        if isinstance(text, str) and re.match(r"\d{4}", text):
            day, year = text[:10], text[:4]
            yield Query(type, name, year, "date", "year")
            yield Query(type, name, day, "date", "day")
            for prefix in ("ge", "le", "gt", "lt", "sa", "eb", "ne"):
                yield Query(type, name, prefix + day, "date", prefix)
            if "T" in text:
                yield Query(type, name, text, "date", "instant")
    yield Query(type, name + ":missing", "true", "date", ":missing")


def _quantities(type, name, value):
    if isinstance(value, dict) and isinstance(value.get("value"), int | float):
        number = value["value"]
        for prefix in ("", "ge", "lt", "gt", "le", "ne"):
            yield Query(type, name, f"{prefix}{number}", "quantity", prefix or "number")
        if value.get("code") and value.get("system"):
            yield Query(type, name, f"{number}|{value['system']}|{value['code']}", "quantity", "number|system|code")
            yield Query(type, name, f"ge{number}||{value['code']}", "quantity", "ge||code")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        for prefix in ("", "ge", "lt"):
            yield Query(type, name, f"{prefix}{value}", "number", prefix or "number")


def _references(type, name, value):
    text = value.get("reference") if isinstance(value, dict) else None
    if text and re.fullmatch(r"[A-Z]\w+/[\w.-]+", text):
        to, _, id = text.partition("/")
        yield Query(type, name, text, "reference", "Type/id")
        yield Query(type, name, id, "reference", "id")
        yield Query(type, f"{name}:{to}", id, "reference", ":Type")
        if to == "Patient":
            yield Query(type, f"{name}:Patient.gender", "female", "chain", "gender")
            yield Query(type, f"{name}:Patient.birthdate", "lt1970", "chain", "birthdate")
            yield Query("Patient", f"_has:{type}:{name}:_id", "nobody", "_has", "_id")
        yield Query(to, f"_has:{type}:{name}:{name}", text, "_has", "reference")
    yield Query(type, name + ":missing", "true", "reference", ":missing")


def _uris(type, name, value):
    if isinstance(value, str) and not re.search(r"[,|$\\]", value):
        yield Query(type, name, value, "uri", "uri")
        if value.startswith("http") and value.count("/") > 3:
            yield Query(type, name + ":below", value.rpartition("/")[0] + "/", "uri", ":below")


FORMS = {
    "token": _tokens,
    "string": _strings,
    "date": _dates,
    "quantity": _quantities,
    "number": _quantities,
    "reference": _references,
    "uri": _uris,
}


# answers


def ask(target, connection, path, given):
    """Which of the resources a search finds, over all its pages; None when it, or a part of it, is not answered."""
    found, at = set(), path
    for _ in range(PAGES):
        answer = connection.ask(target.encode("GET", at))
        if answer.status != 200:
            return None
        bundle = json.loads(answer.body)
        for entry in bundle.get("entry", ()):
            mode, resource = entry.get("search", {}).get("mode", "match"), entry["resource"]
            if mode == "outcome" or resource["resourceType"] == "OperationOutcome":
                return None  # something was left out
            if mode == "match" and (resource["resourceType"], resource["id"]) in given:
                found.add(f"{resource['resourceType']}/{resource['id']}")
        following = [each["url"] for each in bundle.get("link", ()) if each["relation"] == "next"]
        if not following:
            return found
        parts = urlsplit(following[0])
        at = parts.path.removeprefix(target.path).lstrip("/") + ("?" + parts.query if parts.query else "")
    return found


def compared(targets, given, queries):
    """Ask both; an Agreement."""
    result = Agreement()
    connections = [Connection(target) for target in targets]
    for query in queries:
        answers = [ask(t, c, query.path, given) for t, c in zip(targets, connections, strict=True)]
        for target, answer in zip(targets, answers, strict=True):
            if answer is None:
                result.refused[target.name][query.kind, query.form] += 1
        if None in answers:
            continue
        result.asked += 1
        result.found += bool(answers[0] or answers[1])
        one, other = answers
        if one == other:
            result.alike += 1
        else:
            result.differ.append((query, reason(query, one - other, other - one, given), one - other, other - one))
    return result


def reason(query, only_here, only_there, given):
    """Which sentence of EXPLAINED goes for a difference, or None."""
    for name, test in EXPLAINED.items():
        if test(query, only_here, only_there, given):
            return name
    return None


def _of(kind, forms, names=None):
    """A test: of this kind of parameter, in these forms, perhaps of these names alone."""

    def test(query, here, there, given):
        return query.kind == kind and query.form in forms and (not names or query.name.partition(":")[0] in names)

    return test


def _every(here, given, test):
    """Does each of these resources satisfy a test?"""
    return all(test(given[tuple(place.split("/"))]) for place in here)


def _implied_system(query, here, there, given):
    """`|code` and an element that is a `code`, or an identifier whose system is implied."""
    return query.form == "|code" and not (here and there)


def _says_nothing(query, here, there, given):
    """Only they say `missing`, of a reference that is there without naming a resource that could be looked up."""
    element = query.name.partition(":")[0]
    keys = {"medication": "medicationReference"}
    return query.kind == "reference" and query.form == ":missing" and not here and _every(
        there, given, lambda r: keys.get(element, element) in r
    )  # fmt: skip


def _text_of_value(query, here, there, given):
    """Only we index the text of a coded value, which the expression names."""
    coded = lambda r: "text" in r.get("valueCodeableConcept", {})  # noqa: E731
    return query.name.startswith("value-string") and not there and _every(here, given, coded)


def _other_unit(query, here, there, given):
    """Only we compare across units: what is found has another than the value, or is near a 0 without decimals."""
    number, code = query.value.partition("|")[0], query.value.rpartition("|")[2]

    def other(resource):
        value = resource.get("valueQuantity", {})
        return value.get("code") != code or (number == "0" and abs(value.get("value", 1)) <= 0.5)

    return query.kind == "quantity" and query.value.count("|") == 2 and not there and _every(here, given, other)


def _zero(query, here, there, given):
    """Zero without decimals: -0.5 to 0.5."""
    near = lambda r: abs(r.get("valueQuantity", {}).get("value", 1)) <= 0.5  # noqa: E731
    number = query.value.removeprefix("ne").partition("|")[0]
    return query.kind == "quantity" and number in ("0", "0.0") and _every(here | there, given, near)


def _unit_passed_over(query, here, there, given):
    """`||code` bounds the unit; only they find others."""
    code = query.value.rpartition("|")[2]
    return query.form == "ge||code" and not here and _every(
        there, given, lambda r: r.get("valueQuantity", {}).get("code") != code
    )  # fmt: skip


EXPLAINED = {
    "implied system": _implied_system,
    "a reference that names nothing": _says_nothing,
    "text of a coded value": _text_of_value,
    "across units": _other_unit,
    "zero": _zero,
    "unit": _unit_passed_over,
    "a truth value": _of("token", ("code", "or", ":not", ":missing"), ("deceased",)),
}


def command(commands):
    """The arguments of `compare`."""
    some = commands.add_parser("compare", help="do this server and sekmet find the same?")
    some.add_argument("--data", type=Path, nargs="+", required=True, help="folders of Bundles and examples")
    some.add_argument("--bundles", type=int, default=4, help="Bundles of each folder (default 4)")
    some.add_argument("--each", type=int, default=1, help="queries of each form of each parameter (default 1)")
    some.add_argument("--json", type=Path, help="where to write every difference")


def main(options):
    """Start both on empty data, give them the same resources, ask them the same; 1 when something is unexplained."""
    from records.definitions.parameters import search_parameter_definitions

    from . import peers

    with peers.started() as targets:
        given, taken = load([(t, Connection(t)) for t in targets], resources(options.data, options.bundles))
        print(f"{len(given):,} resources in both; taken: "
              + ", ".join(f"{t.name} {n:,}" for t, n in zip(targets, taken, strict=True)))  # fmt: skip
        result = compared(targets, given, drawn(given, search_parameter_definitions(), options.each))
    print("\n".join(told(result)))
    if options.json:
        options.json.write_text(json.dumps([line(d) for d in result.differ], indent=1))
    return any(why is None for _, why, *_ in result.differ)


def told(result):
    """The figures, the reasons and what has none."""
    yield f"{result.asked:,} searches answered by both, {result.found:,} found anything; {result.alike:,} alike"
    for name, refused in result.refused.items():
        whole = ", ".join(f"{kind} {form}: {n}" for (kind, form), n in refused.most_common(12))
        yield f"{name} did not answer {sum(refused.values()):,} ({whole})"
    for why, n in Counter(why for _, why, *_ in result.differ if why).most_common():
        yield f"{n:5}  {why}"
    for each in result.differ:
        if each[1] is None:
            yield f"unexplained: {json.dumps(line(each))}"


def line(difference):
    """A difference as a row of JSON."""
    query, why, here, there = difference
    return {"query": query.path.removesuffix("&_count=1000"), "kind": query.kind, "form": query.form, "why": why,
            "only ours": sorted(here)[:5], "only theirs": sorted(there)[:5],
            "n": [len(here), len(there)]}  # fmt: skip
