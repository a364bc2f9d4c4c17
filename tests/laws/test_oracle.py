"""What a search finds is what an independent reading of R4 finds by a scan: see oracle. (search.html)"""

from hypothesis import strategies as st

from . import oracle
from .resources import CODE_SYSTEM, CODES, NAMES, UNITS, criteria, observations, optional, patients, without_none
from .test_search import found, law

UCUM = "http://unitsofmeasure.org"
STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
TEXTS = ("Tension artérielle", "tension", "Œdème pulmonaire", "Pouls")
URLS = ("http://a.org", "http://a.org/x", "http://a.org/x/y", "http://a.org/xy", "urn:oid:1.2")

numbers = st.sampled_from(("1", "2", "2.0", "3", "1e3", "0.002", "1500", "2000"))
quantities = st.builds(
    lambda value, comparator, unit: without_none({"value": value, "comparator": comparator}) | unit,
    st.sampled_from((1, 2, 2.04, 3, 1500)),
    optional(st.sampled_from(("<", "<=", ">", ">="))),
    st.one_of(
        st.sampled_from(UNITS).map(lambda u: {"system": UCUM, "code": u, "unit": u}),
        st.sampled_from(({}, {"unit": "drop"}, {"system": "urn:u", "code": "drop", "unit": "Tropfen"}, {"unit": "g"})),
    ),
)
concepts = st.builds(
    lambda codes, text, display: (
        without_none({"coding": None, "text": text})
        | {"coding": [without_none({"system": CODE_SYSTEM, "code": c, "display": display}) for c in codes]}
    ),
    st.lists(st.sampled_from(CODES), max_size=2, unique=True),
    optional(st.sampled_from(TEXTS)),
    optional(st.sampled_from(TEXTS)),
)


@st.composite
def measured(draw, patients):
    """An Observation with values and components of every kind of unit."""
    groups = st.builds(
        lambda code, value: without_none({"code": code, "valueQuantity": value}), concepts, optional(quantities)
    )
    more = {"valueQuantity": draw(optional(quantities)), "component": draw(st.lists(groups, max_size=2)) or None}
    return without_none(draw(observations(patients)) | {"code": draw(concepts)} | more)


conditions = st.sampled_from(("active", "recurrence", "relapse", "inactive", "remission", "resolved", None)).map(
    lambda code: (
        {"resourceType": "Condition", "subject": {"reference": "Patient/p0"}}
        | ({"clinicalStatus": {"coding": [{"system": STATUS, "code": code}]}} if code else {})
    )
)
valuesets = st.sampled_from(URLS).map(lambda url: {"resourceType": "ValueSet", "status": "active", "url": url})


@st.composite
def populations(draw):
    people = draw(st.lists(patients, max_size=4))
    kinds = {"p": people, "o": draw(st.lists(measured(len(people)), max_size=8)),
             "c": draw(st.lists(conditions, max_size=4)), "v": draw(st.lists(valuesets, max_size=3))}  # fmt: skip
    return [each | {"id": f"{letter}{n}"} for letter, group in kinds.items() for n, each in enumerate(group)]


amounts = st.builds(
    lambda prefix, number, unit: prefix + number + unit,
    st.sampled_from(PREFIXES),
    numbers,
    st.sampled_from(("", f"|{UCUM}|g", f"|{UCUM}|mg", "||kg", "||g", "||drop", "|urn:u|drop", "||Tropfen")),
)
tokens = st.sampled_from((*CODES, f"{CODE_SYSTEM}|a", "|a", "z"))
measures = st.sampled_from(("value-quantity", "component-value-quantity", "combo-value-quantity"))
of_quantity = st.tuples(measures, st.lists(amounts, min_size=1, max_size=2).map(",".join))
of_composite = st.tuples(
    st.sampled_from(("code-value-quantity", "component-code-value-quantity", "combo-code-value-quantity")),
    st.builds("{}${}".format, tokens, amounts),
)
of_text = st.tuples(
    st.sampled_from(("code:text", "code:code-text")), st.sampled_from(("tens", "ARTERIELLE", "oed", "sion", "pouls"))
)
of_name = st.tuples(
    st.sampled_from(("name", "name:exact", "name:contains")), st.sampled_from((*NAMES, "etienne", "upon", "arc", "oe"))
)
every = st.one_of(criteria, of_quantity, of_composite, of_text)


def agrees(population, type, name, value, meant=None):
    """A search, and a scan of the population by the oracle; `meant` is a tree that the value is the text of."""
    scanned = {
        r["id"]
        for r in population
        if r["resourceType"] == type and oracle.meets(population, r, name, value if meant is None else meant)
    }
    assert set(found((name, value), type=type)) == scanned


@law(every, population=populations())
def test_a_search_is_a_scan(population, asked):
    agrees(population, "Observation", *asked)


@law(of_quantity, population=populations())
def test_quantities(population, asked):
    agrees(population, "Observation", *asked)


@law(of_composite, population=populations())
def test_composites(population, asked):
    agrees(population, "Observation", *asked)


@law(of_text, population=populations())
def test_texts_of_codes(population, asked):
    agrees(population, "Observation", *asked)


@law(of_name, st.sampled_from(("", "patient.", "subject:Patient.")), population=populations())
def test_names_and_chains(population, asked, through):
    agrees(population, "Observation" if through else "Patient", through + asked[0], asked[1])


def with_patients_inside(population):
    """The observations, each with its patient inside; none of the patients stands alone."""
    people = {f"Patient/{r['id']}": r for r in population if r["resourceType"] == "Patient"}
    seen = [r for r in population if r["resourceType"] == "Observation"]
    places = [people.get(r.get("subject", {}).get("reference")) for r in seen]
    return [
        r | {"subject": {"reference": "#it"}, "contained": [of | {"id": "it"}]} if of else r
        for r, of in zip(seen, places, strict=True)
    ]


of_person = st.one_of(
    of_name,
    st.tuples(st.just("gender"), st.sampled_from(("male", "female"))),
    st.tuples(st.just("birthdate"), st.sampled_from(("lt1985", "1980", "ge1990-01-01"))),
)


@law(of_person, st.sampled_from(("patient.", "subject:Patient.", "subject.")),
     population=populations().map(with_patients_inside))  # fmt: skip
def test_what_is_inside_is_found_by_a_chain_and_when_asked_for(population, asked, through):
    name, value = asked
    meant = {r["id"] for r in population for each in r.get("contained", ()) if oracle.meets([], each, name, value)}
    assert set(found((through + name, value))) == meant
    assert set(found(asked, ("_contained", "true"), type="Patient")) == meant
    assert found(asked, type="Patient") == []


@law(every, population=populations())
def test_what_refers_here(population, asked):
    agrees(population, "Patient", f"_has:Observation:patient:{asked[0]}", asked[1])


@law(
    st.sampled_from(("clinical-status:above", "clinical-status:below", "clinical-status", "clinical-status:not")),
    st.sampled_from(("active", "recurrence", "inactive", "resolved")).map(lambda code: f"{STATUS}|{code}"),
    population=populations(),
)
def test_hierarchies_of_codes(population, name, value):
    agrees(population, "Condition", name, value)


@law(st.sampled_from(("url", "url:above", "url:below")), st.sampled_from((*URLS, "http://a.org/", "http://a.org/x/y/z")),
     population=populations())  # fmt: skip
def test_urls(population, name, value):
    agrees(population, "ValueSet", name, value)


DATES = ("2020", "2020-06", "2020-01-01", "2021")
leaves = st.one_of(
    st.tuples(measures, st.sampled_from(PREFIXES[1:]), st.builds("{}{}".format, numbers, st.sampled_from(("", "||g")))),
    st.tuples(st.just("date"), st.sampled_from(PREFIXES[1:-1]), st.sampled_from(DATES)),
    st.tuples(st.sampled_from(("code", "status")), st.sampled_from(("eq", "ne")), st.sampled_from(("a", "final", "z"))),
    st.tuples(st.sampled_from(("code", "date", "value-quantity", "patient")), st.just("pr"),
              st.sampled_from(("true", "false"))),
    st.tuples(st.just("patient.name"), st.sampled_from(("eq", "ne", "co", "sw", "ew")),
              st.sampled_from((*NAMES, "etienne", "po", "dip", "arc", "d", "b"))),
    st.tuples(st.just("patient.birthdate"), st.sampled_from(PREFIXES[1:-1]), st.sampled_from(("1980", "1985-01-01"))),
    st.tuples(st.just("patient.gender"), st.sampled_from(("eq", "ne")), st.sampled_from(("male", "female"))),
)  # fmt: skip
trees = st.recursive(
    leaves,
    lambda below: st.one_of(
        st.tuples(st.sampled_from(("and", "or")), below, below), st.tuples(st.just("not"), below)
    ),
    max_leaves=5,
)  # fmt: skip


@law(trees, population=populations())
def test_expressions(population, tree):
    agrees(population, "Observation", "_filter", oracle.written(tree), tree)
