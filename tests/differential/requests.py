"""Requests in all the forms that the CapabilityStatement lists: routes, methods, parameters and how they combine."""

import json
from dataclasses import dataclass, field
from itertools import chain

from tests.api import Api

ABSENT = "00000000-0000-4000-8000-000000000000"
FORM = "application/x-www-form-urlencoded"
CODE = "zephyrine"  # what only the item says
SYSTEM = "urn:differential"
DATE = "2026-02-03"
LATER = "Sat, 01 Jan 2050 00:00:00 GMT"
FOCUS = ("Observation", "DocumentReference", "Condition", "Patient", "Encounter", "Provenance")
VALUES = {
    "token": (CODE, f"{SYSTEM}|{CODE}", f"{SYSTEM}|", "final", "true"),
    "date": (DATE, f"ge{DATE}", f"lt{DATE}", f"ap{DATE}", "2026"),
    "string": (CODE, CODE[:3], "a"),
    "reference": ("Patient/{a}", "{a}", "Practitioner/dr-doctor", "Encounter/{encounter}", "{item}", ABSENT),
    "quantity": ("7331", "gt7330", f"7331|{SYSTEM}|x", "lt1"),
    "number": ("1", "gt0"),
    "uri": (f"{SYSTEM}:{CODE}", "http://x"),
    "composite": (f"{CODE}$7331", f"{SYSTEM}|{CODE}$gt1", f"{CODE}${DATE}"),
    "special": ("48.8|2.3|10|km",),
}
MODIFIERS = {
    "token": (":not", ":missing", ":text", ":in", ":above", ":below", ":of-type"),
    "string": (":exact", ":contains", ":missing"),
    "reference": (":missing", ":identifier", ":below", ":above", ":Patient", ":Encounter"),
    "uri": (":above", ":below", ":missing"),
    "date": (":missing",), "quantity": (":missing",), "number": (":missing",), "composite": (), "special": (),
}  # fmt: skip
BODIES = {  # the least that is valid, but the subject
    "Observation": {"status": "final", "code": {"text": "new"}},
    "Condition": {"code": {"text": "new"}},
    "DocumentReference": {"status": "current", "content": [{"attachment": {"title": "new"}}]},
}
RESULTS = (
    "_summary=count", "_total=accurate", "_total=estimate&_count=1", "_total=none", "_count=0", "_count=1", "_count=2",
    "_summary=true", "_summary=text", "_elements=id", "_format=xml", "_pretty=true", "_sort=-_lastUpdated", "_sort=_id",
    "_include=*", "_revinclude=*", "_include:iterate=*&_revinclude:iterate=*",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: object = None
    type: str = "application/fhir+json"
    headers: tuple = field(default=())

    @property
    def writes(self):
        return self.method in ("PUT", "PATCH", "DELETE") or (
            self.method == "POST" and not self.path.endswith("_search")
        )

    def sent(self, who):
        return who.request(self.method, self.path, self.body, type=self.type, **dict(self.headers))


def of_record(record):
    """(reads, writes) on a record: `record` has the ids a, item, encounter, own, and the type of the item."""
    statement = Api(token="").get("metadata").tree["rest"][0]
    of = {each["type"]: each for each in statement["resource"]}
    fill = {k: v for k, v in record.items() if isinstance(v, str)}
    found = chain(
        *(searches(of[type], of, fill) for type in FOCUS),
        *(plain(of[type]) for type in sorted(set(of) - set(FOCUS))),
        instances(of, fill), whole(statement, fill), bundles(fill),
    )  # fmt: skip
    asked = list(dict.fromkeys(found))
    return [r for r in asked if not r.writes], [r for r in asked if r.writes]


def criteria(parameter, fill):
    """Each way to ask by a parameter."""
    kind, name = parameter["type"], parameter["name"]
    values = [v.format(**fill) for v in VALUES[kind]]
    for value in values:
        yield f"{name}={value}"
    yield f"{name}={','.join(values)}"
    for modifier in MODIFIERS[kind]:
        for value in ("true", "false") if modifier == ":missing" else values[:2]:
            yield f"{name}{modifier}={value}"


def searches(of, types, fill):
    type = of["type"]
    for n, parameter in enumerate(of["searchParam"]):
        name = parameter["name"]
        for m, each in enumerate(criteria(parameter, fill)):
            more = RESULTS[(n * 7 + m) % len(RESULTS)]
            for query in (each, f"{each}&{more}"):
                yield Request("GET", f"{type}?{query}")
            yield Request("POST", f"{type}/_search", f"{each}&{more}".encode(), FORM)
            if m % 3 == 0:
                yield Request("GET", f"Patient/{fill['a']}/{type}?{each}&{more}")
                yield Request("GET", f"Patient?_has:{type}:patient:{each}")
                yield Request("GET", f"Patient?_has:{type}:subject:{each}&{more}")
                yield Request("GET", f"?_type={type},Patient&{each}&{more}")
        for sign in ("", "-"):
            yield Request("GET", f"{type}?_sort={sign}{name}&_count=2")
            yield Request("GET", f"{type}?_sort={sign}{name},_id&_total=accurate&_count=1")
        if parameter["type"] == "reference":
            yield Request("GET", f"{type}?_include={type}:{name}")
            yield Request("GET", f"Patient?_revinclude={type}:{name}&_count=2")
            yield Request("GET", f"Encounter?_revinclude:iterate={type}:{name}")
            for target, code in (("Patient", "family"), ("Patient", "identifier"), ("Encounter", "status"),
                                 ("Observation", "code"), ("Condition", "code"), ("Practitioner", "name")):  # fmt: skip
                yield Request("GET", f"{type}?{name}:{target}.{code}={CODE}")
                yield Request("GET", f"{type}?{name}:{target}.{code}:missing=false&_sort={name}:{target}.{code}")
                yield Request("GET", f"{target}?_has:{type}:{name}:_id={fill['item']}")
                yield Request("GET", f"{target}?_has:{type}:{name}:code={CODE}")
    for more in RESULTS:
        yield Request("GET", f"{type}?{more}")
        yield Request("POST", f"{type}/_search", more.encode(), FORM)
        yield Request("GET", f"Patient/{fill['a']}/{type}?{more}")
        yield Request("GET", f"{type}?_id={fill['item']}&{more}")
        yield Request("GET", f"{type}?_id={fill['item']},{fill['own']},{ABSENT}&{more}")
    for expression in (f"code eq {CODE}", f"not (code eq {CODE})", f"subject.family co {CODE}", f"code sw {CODE[:3]}",
                       f"identifier eq {SYSTEM}|{CODE}", f"_lastUpdated gt 2020-01-01 or code eq {CODE}"):  # fmt: skip
        yield Request("GET", f"{type}?_filter={expression}")
    for query in ("", "?_count=1", "?_since=2020-01-01", "?_at=2026-06-01", "?_format=xml"):
        yield Request("GET", f"{type}/_history{query}")
    yield Request("GET", f"{type}?_text={CODE}")
    yield Request("GET", f"{type}?_content={CODE}")
    yield Request("GET", f"{type}?_list={fill['own']}")
    for operation in of.get("operation", ()):
        for query in ("", f"?patient={fill['a']}&code={CODE}", f"?patient={fill['a']}&category=laboratory&max=2"):
            yield Request("GET", f"{type}/${operation['name']}{query}")


def plain(of):
    """A type without rows: its routes alone."""
    type = of["type"]
    for path in (type, f"{type}?_total=accurate&_sort=-_lastUpdated", f"{type}/_history", f"{type}/{ABSENT}"):
        yield Request("GET", path)


def instances(types, fill):
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
    meta = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [label]}}]}
    parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": f"{fill['type']}.note"}]
    fhirpath = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    patches = [[{"op": "test", "path": "/status", "value": "final"}], [{"op": "remove", "path": "/code"}],
               [{"op": "add", "path": "/language", "value": "fr"}]]  # fmt: skip
    for type, id in ((fill["type"], fill["item"]), (fill["type"], ABSENT), ("Observation", fill["own"]),
                     ("Patient", fill["a"]), ("Encounter", fill["encounter"])):  # fmt: skip
        at = f"{type}/{id}"
        for path in ("", "/_history", "/_history/1", "/_history/2", "/_history/9", "/_history?_count=1", "/$meta",
                     "/_history/1/$meta", "/$validate", "?_summary=true", "?_elements=id", "?_format=xml", "/*",
                     "/Observation", "/$everything", "/$everything?_count=1", f"/$everything?start={DATE}",
                     "/$everything?_type=Observation,Condition", "/_history?_since=2020-01-01"):  # fmt: skip
            yield Request("GET", at + path)
            yield Request("HEAD", at + path)
        for name, value in (("if_none_match", 'W/"1"'), ("if_none_match", "*"), ("prefer", "handling=strict"),
                            ("if_modified_since", LATER), ("accept_encoding", "gzip")):  # fmt: skip
            yield Request("GET", at, headers=((name, value),))
        if type == "Patient" or id == fill["encounter"]:
            continue
        given = frozen(fresh(type, fill, id=id))
        for headers in ((), (("if_match", 'W/"1"'),), (("if_match", 'W/"9"'),), (("prefer", "return=representation"),),
                        (("if_none_match", "*"),)):  # fmt: skip
            yield Request("PUT", at, given, headers=headers)
        for patch in patches:
            yield Request("PATCH", at, frozen(patch), "application/json-patch+json")
            yield Request("PATCH", at, frozen(patch), "application/json-patch+json", (("if_match", 'W/"1"'),))
        yield Request("PATCH", at, frozen(fhirpath))
        for name in ("meta-add", "meta-delete"):
            yield Request("POST", f"{at}/${name}", frozen(meta))
        if id != fill["own"]:
            yield Request("DELETE", at)
            yield Request("DELETE", at, headers=(("if_match", 'W/"1"'),))


def whole(statement, fill):
    """The server as a whole, and conditions that search."""
    for query in RESULTS:
        yield Request("GET", f"?{query}")
        yield Request("GET", f"?_type=Observation,Condition,DocumentReference&{query}")
        yield Request("POST", "_search", f"_type={fill['type']}&{query}".encode(), FORM)
    for sort in ("date", "-date", "code", "status", "_lastUpdated", "patient", "identifier"):
        yield Request("GET", f"?_sort={sort}")
        yield Request("GET", f"?_type=Observation,Condition,Patient&_sort={sort}")
    yield Request("GET", "_history")
    yield Request("GET", "metadata")
    for definition in statement["compartment"]:
        name = definition.rpartition("/")[2].title().replace("Relatedperson", "RelatedPerson")
        for id in (fill["encounter"], "dr-doctor", fill["a"], ABSENT):
            yield Request("GET", f"{name}/{id}/*")
            yield Request("GET", f"{name}/{id}/{fill['type']}?_total=accurate")
    same = f"identifier={SYSTEM}|{CODE}"
    for type in (fill["type"], "Observation"):
        new = fresh(type, fill)
        for query in (same, f"_id={fill['item']}", f"code={CODE}&{same}"):
            for prefer in ("return=minimal", "return=representation", "return=OperationOutcome"):
                headers = (("if_none_exist", query), ("prefer", prefer))
                yield Request("POST", type, frozen(new), headers=headers)
            yield Request("PUT", f"{type}?{query}", frozen(new))
            yield Request("PUT", f"{type}?{query}", frozen(new | {"id": fill["item"]}))
            yield Request("PATCH", f"{type}?{query}", frozen([{"op": "test", "path": "/status", "value": "final"}]),
                          "application/json-patch+json")  # fmt: skip
            yield Request("DELETE", f"{type}?{query}")
        for target in (f"{fill['type']}/{fill['item']}", f"{fill['type']}/{ABSENT}", f"{fill['type']}?{same}"):
            yield Request(
                "POST", "Observation", frozen(fresh("Observation", fill, derivedFrom=[{"reference": target}]))
            )


def bundles(fill):
    gets = [f"{fill['type']}/{fill['item']}", f"{fill['type']}/{ABSENT}", f"{fill['type']}?_summary=count",
            f"{fill['type']}?code={CODE}", f"{fill['type']}/{fill['item']}/_history", f"Patient/{fill['a']}",
            f"{fill['type']}/{fill['item']}/_history/1", f"?_type={fill['type']}"]  # fmt: skip
    for kind in ("batch", "transaction"):
        for asked in (gets, *([each] for each in gets)):
            entries = [{"request": {"method": "GET", "url": url}} for url in asked]
            yield Request("POST", "", frozen({"resourceType": "Bundle", "type": kind, "entry": entries}))
        for target in (f"{fill['type']}/{fill['item']}", f"{fill['type']}?identifier={SYSTEM}|{CODE}",
                       f"{fill['type']}?identifier={SYSTEM}|none"):  # fmt: skip
            resource = fresh("Observation", fill, derivedFrom=[{"reference": target}])
            for asked in (
                {"method": "POST", "url": "Observation", "ifNoneExist": f"identifier={SYSTEM}|{CODE}"},
                {"method": "POST", "url": "Observation"},
                {"method": "PUT", "url": f"Observation/{fill['item']}"},
                {"method": "DELETE", "url": f"{fill['type']}?identifier={SYSTEM}|{CODE}"},
            ):
                entry = {"request": asked} | ({"resource": resource} if asked["method"] != "DELETE" else {})
                yield Request("POST", "", frozen({"resourceType": "Bundle", "type": kind, "entry": [entry]}))


def fresh(type, fill, **more):
    """A new resource of the record."""
    return {"resourceType": type, **BODIES[type], "subject": {"reference": f"Patient/{fill['a']}"}, **more}


def frozen(tree):
    """A body that can be compared and hashed."""
    return json.dumps(tree).encode()
