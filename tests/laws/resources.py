"""Resources and criteria for the laws: few distinct values, so that much matches and much is alike."""

from hypothesis import strategies as st

DATES = ("2020", "2020-01", "2020-01-01", "2020-06-15T10:00:00Z", "2021-03-01T00:30:00+02:00")
CODES = ("a", "b", "c")
UNITS = ("mg", "g", "kg")
NAMES = ("Étienne", "etienne", "d'Arc", "Dupont", "DUPOND", "Œdipe", "a b")
CODE_SYSTEM = "urn:c"


def optional(strategy):
    return st.none() | strategy


def without_none(tree):
    return {key: value for key, value in tree.items() if value is not None}


patients = st.builds(
    lambda gender, family, birth, active: without_none(
        {
            "resourceType": "Patient",
            "gender": gender,
            "name": family and [{"family": family}],
            "birthDate": birth,
            "active": active,
        }
    ),
    optional(st.sampled_from(("male", "female"))),
    optional(st.sampled_from(NAMES)),
    optional(st.sampled_from(("1980", "1980-05", "1990-01-01"))),
    optional(st.booleans()),
)


@st.composite
def observations(draw, patients):
    """An Observation of one of so many patients."""
    value, unit = draw(optional(st.integers(1, 4))), draw(st.sampled_from(UNITS))
    return without_none(
        {
            "resourceType": "Observation",
            "status": draw(st.sampled_from(("final", "amended"))),
            "code": {"coding": [{"system": CODE_SYSTEM, "code": c} for c in draw(codes)], "text": "x"},
            "subject": draw(optional(st.integers(0, patients).map(lambda n: {"reference": f"Patient/p{n}"}))),
            "effectiveDateTime": draw(optional(st.sampled_from(DATES))),
            "valueQuantity": value
            and {"value": value, "system": "http://unitsofmeasure.org", "code": unit, "unit": unit},
        }
    )


codes = st.lists(st.sampled_from(CODES), max_size=2, unique=True)


@st.composite
def populations(draw):
    """Some patients, and observations of them (or of one that is not there)."""
    people = [p | {"id": f"p{n}"} for n, p in enumerate(draw(st.lists(patients, max_size=4)))]
    seen = [o | {"id": f"o{n}"} for n, o in enumerate(draw(st.lists(observations(len(people)), max_size=8)))]
    return people + seen


dates = st.builds(
    lambda name, prefix, value: (name, prefix + value),
    st.just("date"),
    st.sampled_from(("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")),
    st.sampled_from(("2020", "2020-01-01", "2020-06", "2021")),
)
criteria = st.one_of(
    st.tuples(st.just("code"), st.sampled_from(("a", "b", "urn:c|c", "urn:c|", "|a", "z"))),
    st.tuples(st.just("status"), st.sampled_from(("final", "amended"))),
    st.tuples(st.just("patient"), st.sampled_from(("p0", "Patient/p1", "p4"))),
    st.tuples(st.sampled_from(("date:missing", "value-quantity:missing", "patient:missing")), st.just("true")),
    st.tuples(
        st.just("value-quantity"),
        st.sampled_from(("1", "gt2", "le2000", "2||g", "lt2|http://unitsofmeasure.org|kg", "ge1000||mg")),
    ),
    st.tuples(st.just("patient.gender"), st.just("male")),
    st.tuples(st.just("patient.name"), st.sampled_from(("etienne", "d", "oedipe"))),
    dates,
)
ORDERS = "date -date status -status _id -_id code -_lastUpdated patient -value-quantity patient.birthdate"
sorts = st.lists(st.sampled_from(ORDERS.split()), max_size=3, unique=True)
