"""The shapes of searches whose time is taken, each with what it must find said a second time in Python.

A shape draws a Case: a query with random values, `test` over a resource as JSON, and the order of the answer. Only
the folding of names is the product's own; everything else is said anew, so that scan.py can compare.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from records.search.types.folding import fold, without_particles

LOINC, UCUM, SNOMED = "http://loinc.org", "http://unitsofmeasure.org", "http://snomed.info/sct"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
FREQUENT = ("29463-7", "85354-9", "8867-4")  # one or two Observations of seven
MIDDLING = ("14682-9", "2823-3", "718-7", "14647-2", "14646-4", "22748-8", "14927-8")
RARE = ("9843-4", "8302-2", "8310-5", "4548-4", "14771-0", "3016-3", "2708-6")
CODES = FREQUENT + MIDDLING + RARE + ("72166-2",)
NO_DATE = -(2**63)
DAY = 86_400_000_000
PAGE = 50


@dataclass(frozen=True)
class Case:
    """One search, and what it finds."""

    query: str
    test: Callable  # (resource, gathered) -> does it match?
    order: Callable = None  # (resource, pk) -> what the answer is sorted by; None: newest first
    gather: tuple = None  # (type, resource -> something or None): what a pass before collects in a set
    beside: Callable = None  # (page, gathered) -> "Type/id" of what comes along
    page: int = 1
    count: bool = False  # only the total is asked for

    @property
    def type(self):
        return self.query.partition("?")[0]


@dataclass(frozen=True)
class Shape:
    name: str
    bound: str | None  # by what its cost is bounded however much data there is: patient, code, order
    draw: Callable


SHAPES: dict[str, Shape] = {}


def shape(name, bound=None):
    def mark(draw):
        SHAPES[name] = Shape(name, bound, draw)
        return draw

    return mark


@dataclass
class Known:
    """What queries are drawn from: some Patients, how many people there are, when they were written."""

    patients: list
    people: int
    first: datetime
    apart: timedelta
    encounters: list = field(default_factory=list)


# elements


def interval(text):
    """(first, last) microsecond of a date or dateTime, since 1970 UTC."""
    if len(text) == 10:
        low = micros(datetime.fromisoformat(text).replace(tzinfo=UTC))
        return low, low + DAY - 1
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    low = micros(moment)
    return low, low + (999 if "." in text else 999_999)


def micros(moment):
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def when(resource):
    """Clinical date of the types that are asked for here."""
    match resource["resourceType"]:
        case "Observation" | "DiagnosticReport":
            text = resource.get("effectiveDateTime")
        case "Encounter":
            text = resource["period"]["start"]
        case "Condition":
            text = resource.get("onsetDateTime")
        case _:
            text = None
    return NO_DATE if text is None else interval(text)[0]


def newest(resource, pk):
    return -when(resource), -pk


def codes(resource):
    return [c["code"] for c in resource["code"]["coding"]]


def of(resource):
    """The id of the patient."""
    return resource["subject"]["reference"].removeprefix("Patient/")


def updated(resource):
    return interval(resource["meta"]["lastUpdated"])[0]


def value_of(resource):
    return resource.get("valueQuantity", {}).get("value")


def families(patient):
    for name in patient["name"]:
        folded = fold(name["family"])
        yield folded
        yield from without_particles(folded)


def names(patient):
    """Texts that a search by name compares with the start of."""
    for name in patient["name"]:
        for part in (*name["given"], *name.get("prefix", ()), *([name["text"]] if "text" in name else ())):
            yield fold(part)
        given, family = fold(" ".join(name["given"])), fold(name["family"])
        yield from (f"{given} {family}", f"{family} {given}")
    yield from families(patient)


def nir(patient):
    return patient["identifier"][0]


def bounded(low, text):
    """`ge` a bound of a whole day and `lt` the other."""
    return low[0] <= text[1] and text[0] < low[1]


# a patient's


@shape("a patient's Observations", "patient")
def patient_page(random, known):
    id = random.choice(known.patients)["id"]
    return Case(f"Observation?patient={id}", lambda r, _: of(r) == id)


@shape("a patient's Observations of a code, newest 50", "patient")
def patient_code(random, known):
    id, code = random.choice(known.patients)["id"], random.choice(FREQUENT + MIDDLING)
    return Case(
        f"Observation?patient={id}&code={LOINC}|{code}&_sort=-date", lambda r, _: code in codes(r) and of(r) == id
    )


@shape("a patient's Conditions", "patient")
def patient_conditions(random, known):
    id = random.choice(known.patients)["id"]
    return Case(f"Condition?patient={id}", lambda r, _: of(r) == id)


@shape("a patient's Observations but of a code", "patient")
def patient_not(random, known):
    id, code = random.choice(known.patients)["id"], random.choice(FREQUENT)
    return Case(f"Observation?patient={id}&code:not={code}", lambda r, _: code not in codes(r) and of(r) == id)


@shape("count of a patient's Observations", "patient")
def patient_count(random, known):
    id = random.choice(known.patients)["id"]
    return Case(f"Observation?patient={id}&_summary=count", lambda r, _: of(r) == id, count=True)


@shape("_include: a patient's Observations with Encounters", "patient")
def include(random, known):
    id = random.choice(known.patients)["id"]
    return Case(
        f"Observation?patient={id}&_include=Observation:encounter&_include=Observation:patient",
        lambda r, _: of(r) == id,
        beside=lambda page, _: {r[k]["reference"] for r in page for k in ("encounter", "subject") if k in r},
    )


@shape("_revinclude: a Patient with Encounters and Conditions", "patient")
def revinclude(random, known):
    id = random.choice(known.patients)["id"]
    kinds = ("Encounter", "Condition")
    return Case(
        f"Patient?_id={id}&_revinclude=Encounter:patient&_revinclude=Condition:patient",
        lambda r, _: r["id"] == id,
        gather=(kinds, lambda r: f"{r['resourceType']}/{r['id']}" if of(r) == id else None),
        beside=lambda _, gathered: gathered,
    )


@shape("Observations of an Encounter", "patient")
def encounter(random, known):
    id = random.choice(known.encounters)
    return Case(
        f"Observation?encounter=Encounter/{id}",
        lambda r, _: r.get("encounter", {}).get("reference") == f"Encounter/{id}",
    )


@shape("chain: Observations of a code by the patient's identifier", "patient")
def chain_identifier(random, known):
    one, code = nir(random.choice(known.patients)), random.choice(FREQUENT)
    return Case(
        f"Observation?patient.identifier={one['system']}|{one['value']}&code={LOINC}|{code}",
        lambda r, gathered: code in codes(r) and of(r) in gathered,
        gather=(("Patient",), lambda r: r["id"] if nir(r)["value"] == one["value"] else None),
    )


# people


@shape("Patients by identifier", "code")
def identifier(random, known):
    one = nir(random.choice(known.patients))
    return Case(f"Patient?identifier={one['system']}|{one['value']}", lambda r, _: nir(r)["value"] == one["value"])


@shape("Patients by the start of a name")
def name_prefix(random, known):
    start = random.choice([n for n in names(random.choice(known.patients)) if len(n) > 3])[:3].strip()
    return Case(f"Patient?name={start}", lambda r, _: any(n.startswith(start) for n in names(r)))


@shape("Patients by family and given name")
def name_exact(random, known):
    name = random.choice(known.patients)["name"][0]
    family, given = name["family"], name["given"][0]
    return Case(
        f"Patient?family:exact={family}&given:exact={given}",
        lambda r, _: any(n["family"] == family for n in r["name"]) and any(given in n["given"] for n in r["name"]),
    )


@shape("Patients by a part of the name")
def name_contains(random, known):
    part = fold(random.choice(known.patients)["name"][0]["family"])[1:5]
    return Case(f"Patient?family:contains={part}", lambda r, _: any(part in f for f in families(r)))


@shape("Patients born in a month")
def born(random, known):
    low = date(random.randrange(1950, 2020), random.randrange(1, 12), 1)
    high = low.replace(month=low.month + 1)
    return Case(
        f"Patient?birthdate=ge{low}&birthdate=lt{high}",
        lambda r, _: low.isoformat() <= r["birthDate"] < high.isoformat(),
    )


@shape("Patients by family name and birth date (two keys)")
def sorted_people(random, known):
    sex = random.choice(("male", "female"))
    return Case(
        f"Patient?gender={sex}&_sort=family,birthdate",
        lambda r, _: r["gender"] == sex,
        lambda r, pk: (min(families(r)), r["birthDate"], pk),
    )


@shape("_has: Patients with a frequent code")
def has_frequent(random, known):
    return has(random.choice(FREQUENT))


@shape("_has: Patients with a rare code")
def has_rare(random, known):
    return has(random.choice(RARE))


def has(code):
    return Case(
        f"Patient?_has:Observation:patient:code={LOINC}|{code}",
        lambda r, gathered: r["id"] in gathered,
        gather=(("Observation",), lambda r: of(r) if code in codes(r) else None),
    )


# codes


@shape("a frequent code, newest 50", "code")
def code_frequent(random, known):
    code = random.choice(FREQUENT)
    return Case(f"Observation?code={LOINC}|{code}", lambda r, _: code in codes(r))


@shape("a rare code, newest 50", "code")
def code_rare(random, known):
    code = random.choice(RARE)
    return Case(f"Observation?code={code}&_sort=-date", lambda r, _: code in codes(r))


@shape("a code, page 10", "code")
def page_ten(random, known):
    code = random.choice(FREQUENT + MIDDLING)
    return Case(f"Observation?code={LOINC}|{code}", lambda r, _: code in codes(r), page=10)


@shape("a code within a month", "code")
def code_month(random, known):
    code, low = random.choice(CODES), a_day(random)
    span = day(low)[0], day(low + timedelta(days=30))[0]
    return Case(
        f"Observation?code={code}&date=ge{low}&date=lt{low + timedelta(days=30)}",
        lambda r, _: code in codes(r) and bounded(span, interval(r["effectiveDateTime"])),
    )


@shape("a code with a value above a bound")
def code_value(random, known):
    code, bound = random.choice((("29463-7", 80), ("8867-4", 80), ("718-7", 14), ("14682-9", 80)))
    bound += random.randrange(6)
    return Case(
        f"Observation?code={code}&value-quantity=gt{bound}",
        lambda r, _: code in codes(r) and value_of(r) is not None and value_of(r) > bound,
    )


@shape("an OR of 200 codes", "code")
def or_200(random, known):
    wanted = {*random.sample(CODES, 6), *(f"{random.randrange(10**5)}-{random.randrange(10)}" for _ in range(194))}
    return Case(f"Observation?code={','.join(sorted(wanted))}", lambda r, _: not wanted.isdisjoint(codes(r)))


@shape("a code that is not there", "code")
def nothing(random, known):
    code = f"{random.randrange(10**6)}-X"
    return Case(f"Observation?code={LOINC}|{code}", lambda r, _: False)


@shape("a blood pressure above a bound (composite)")
def composite(random, known):
    bound = random.randrange(150, 165)
    return Case(
        f"Observation?component-code-value-quantity={LOINC}|8480-6$gt{bound}",
        lambda r, _: any(
            c["code"]["coding"][0]["code"] == "8480-6" and c["valueQuantity"]["value"] > bound
            for c in r.get("component", ())
        ),
    )


@shape("count of a frequent code")
def count_code(random, known):
    code = random.choice(FREQUENT)
    return Case(f"Observation?code={code}&_summary=count", lambda r, _: code in codes(r), count=True)


@shape("a code by value and date (two keys)")
def two_keys(random, known):
    code = random.choice(MIDDLING)
    return Case(
        f"Observation?code={code}&_sort=value-quantity,-date",
        lambda r, _: code in codes(r),
        lambda r, pk: (value_of(r), -when(r), -pk),
    )


@shape("chain: a code by the patient's name")
def chain_name(random, known):
    start, code = fold(random.choice(known.patients)["name"][0]["family"])[:5], random.choice(FREQUENT)
    return Case(
        f"Observation?code={code}&patient.name={start}",
        lambda r, gathered: code in codes(r) and of(r) in gathered,
        gather=(("Patient",), lambda r: r["id"] if any(n.startswith(start) for n in names(r)) else None),
    )


@shape("chain without a code: Observations by the patient's name")
def chain_alone(random, known):
    start = fold(random.choice(known.patients)["name"][0]["family"])[:5]
    return Case(
        f"Observation?patient.name={start}",
        lambda r, gathered: of(r) in gathered,
        gather=(("Patient",), lambda r: r["id"] if any(n.startswith(start) for n in names(r)) else None),
    )


# the whole type in its order


@shape("all Observations, newest 50", "order")
def everything(random, known):
    return Case(f"Observation?_count={random.choice((50, 49))}", lambda r, _: True)


@shape("all Observations, oldest 50", "order")
def oldest(random, known):
    return Case("Observation?_sort=date", lambda r, _: True, lambda r, pk: (when(r), pk))


@shape("all Observations but of a code", "order")
def code_not(random, known):
    code = random.choice(CODES)
    return Case(f"Observation?code:not={code}", lambda r, _: code not in codes(r))


@shape("Observations of a day", "order")
def of_day(random, known):
    low = a_day(random)
    span = day(low)[0], day(low + timedelta(days=1))[0]
    return Case(
        f"Observation?date=ge{low}&date=lt{low + timedelta(days=1)}",
        lambda r, _: bounded(span, interval(r["effectiveDateTime"])),
    )


@shape("Observations without an Encounter (:missing)", "order")
def missing(random, known):
    return Case("Observation?encounter:missing=true", lambda r, _: "encounter" not in r)


@shape("Observations written in an hour (_lastUpdated)", "order")
def written(random, known):
    low = known.first + random.randrange(known.people) * known.apart
    high = low + timedelta(hours=1)
    span = micros(low), micros(high)
    return Case(
        f"Observation?_lastUpdated=ge{low:%Y-%m-%dT%H:%M:%SZ}&_lastUpdated=lt{high:%Y-%m-%dT%H:%M:%SZ}",
        lambda r, _: span[0] <= updated(r) < span[1],
    )


@shape("Observations last written", "order")
def last_written(random, known):
    return Case("Observation?_sort=-_lastUpdated", lambda r, _: True, lambda r, pk: (-updated(r), -pk))


@shape("Observations in a range of values, newest first")
def values_newest(random, known):
    low = Decimal(random.randrange(60, 120))
    return Case(
        f"Observation?value-quantity=gt{low}|{UCUM}|kg&_sort=-date",
        lambda r, _: r.get("valueQuantity", {}).get("code") == "kg" and value_of(r) > low,
    )


def a_day(random):
    """A day on which somebody may have been seen."""
    return date(2025, 5, 1) - timedelta(days=random.randrange(1500))


def day(date):
    return interval(date.isoformat())
