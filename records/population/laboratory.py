"""Blood tests: panels as a DiagnosticReport over Observations with ranges and interpretation."""

from dataclasses import dataclass
from decimal import Decimal

from .chart import LOINC, V2, coded, concept, quantity, reference
from .person import decimal
from .problems import interpretation


@dataclass(frozen=True, slots=True)
class Test:
    code: str
    name: str
    unit: str
    low: Decimal | int | None
    high: Decimal | int | None
    mean: float
    spread: float
    places: int
    shown: str = ""


D = Decimal
HBA1C = Test("4548-4", "Hémoglobine glyquée (HbA1c)", "%", D("4.0"), D("6.0"), 5.4, 0.25, 1)
GLUCOSE = Test("14771-0", "Glucose à jeun", "mmol/L", D("3.9"), D("6.1"), 5.1, 0.4, 1)
CREATININE = Test("14682-9", "Créatinine", "umol/L", 45, 104, 74, 11, 0, "µmol/L")
CHOLESTEROL = Test("14647-2", "Cholestérol total", "mmol/L", None, D("5.2"), 4.8, 0.5, 2)
HDL = Test("14646-4", "Cholestérol HDL", "mmol/L", D("1.00"), None, 1.4, 0.25, 2)
LDL = Test("22748-8", "Cholestérol LDL", "mmol/L", None, D("4.1"), 2.9, 0.45, 2)
TRIGLYCERIDE = Test("14927-8", "Triglycérides", "mmol/L", None, D("1.70"), 1.15, 0.3, 2)
POTASSIUM = Test("2823-3", "Potassium", "mmol/L", D("3.5"), D("5.1"), 4.2, 0.3, 1)
HAEMOGLOBIN = Test("718-7", "Hémoglobine", "g/dL", D("12.0"), D("17.0"), 14.0, 0.9, 1)
TSH = Test("3016-3", "TSH", "m[IU]/L", D("0.40"), D("4.00"), 1.9, 0.6, 2, "mUI/L")
LIPIDS = (CHOLESTEROL, HDL, LDL, TRIGLYCERIDE)


def write(chart, visits):
    """A panel at some of the visits, oftener for those who are followed for something."""
    person = chart.person
    followed = [key for key in ("diabetes", "cholesterol", "hypertension", "hypothyroidism") if person.has(key)]
    if not person.adult and chart.random.random() < 0.6:
        return
    count = 3 if followed else 1
    for day, encounter in visits[-1 : -1 - 3 * count : -3]:
        tests = [CREATININE, POTASSIUM, HAEMOGLOBIN]
        if person.has("diabetes"):
            tests += [HBA1C, GLUCOSE]
        if person.has("cholesterol") or person.has("hypertension") or (person.age > 50 and not followed):
            tests += LIPIDS
        if person.has("hypothyroidism"):
            tests.append(TSH)
        panel(chart, tests, chart.moment(day, 8, chart.random.randrange(60)), encounter)


def panel(chart, tests, when, encounter):
    """The results and the report that gathers them."""
    results = []
    for test in tests:
        value = decimal(max(chart.random.gauss(mean(chart, test, when), test.spread), test.spread), test.places)
        results.append((test, value, chart.add(result(chart, test, value, when, encounter))))
    odd = [
        f"{test.name} : {french(value)} {test.shown or test.unit}" for test, value, _ in results if outside(test, value)
    ]
    chart.add(
        {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "category": [coded(f"{V2}0074", "LAB")],
            "code": concept(LOINC, "11502-2", "CR d'examens biologiques"),
            "subject": chart.subject,
            "encounter": reference(encounter),
            "effectiveDateTime": when.isoformat(),
            "issued": when.replace(hour=17).isoformat(timespec="milliseconds"),
            "performer": [reference(chart.laboratory)],
            "result": [reference(urn) for _, _, urn in results],
            "conclusion": f"Hors norme : {' ; '.join(odd)}." if odd else "Résultats dans les normes.",
        }
    )


def french(value):
    return str(value).replace(".", ",")


def mean(chart, test, when):
    """Where this person's value lies: illnesses move it, treatment brings it back over the years."""
    person, years = chart.person, (chart.today - when.date()).days / 365.25
    if test is HBA1C and person.has("diabetes"):
        return 6.9 + 0.25 * years
    if test is GLUCOSE and person.has("diabetes"):
        return 7.6 + 0.3 * years
    if person.has("cholesterol") and test in (CHOLESTEROL, LDL):
        return test.mean + 0.5 + 0.35 * years
    if test is TSH and person.has("hypothyroidism"):
        return 2.4 + 0.7 * years
    if test is CREATININE and person.age > 75:
        return 92
    return test.mean - (6 if test is CREATININE and person.sex == "female" else 0)


def outside(test, value):
    return (test.high is not None and value > test.high) or (test.low is not None and value < test.low)


def result(chart, test, value, when, encounter):
    unit = test.shown or test.unit
    limits = {}
    if test.low is not None:
        limits["low"] = quantity(test.low, unit, test.unit)
    if test.high is not None:
        limits["high"] = quantity(test.high, unit, test.unit)
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [coded("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")],
        "code": concept(LOINC, test.code, test.name),
        "subject": chart.subject,
        "encounter": reference(encounter),
        "effectiveDateTime": when.isoformat(),
        "performer": [reference(chart.laboratory)],
        "valueQuantity": quantity(value, unit, test.unit),
        "interpretation": interpretation(value, test.low, test.high),
        "referenceRange": [limits],
    }
