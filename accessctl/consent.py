"""Consent -> rules, in the transaction that writes it; what cannot be enforced is refused by name. (IHE PCF)

Basic and intermediate: a provision, exceptions one level deep, grantees, purposes, periods, dates of the data, single
resources, what is related to an encounter, authorship; and labels. An ignored denial would be a breach, so nothing of
an active privacy Consent is ignored: one that cannot be enforced whole is refused, or, without
FHIRSERVER_STRICT_CONSENT, denies everybody. A Consent of another scope, or not active, is kept and has no effect.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product

from django.conf import settings
from django.dispatch import receiver

from records.database import execute, insert
from records.definitions.valuesets import codes
from records.errors import Invalid, Issue
from records.fhirpath.times import interval
from records.keys import identity
from records.resources.intake import BUSINESS
from records.resources.references import local
from records.resources.rules import before_write
from records.resources.validation import check
from records.search.terminology import specified_below
from records.signals import resources_written

from .labels import CONFIDENTIALITY, COVERED, DENIED, SENSITIVE, SENSITIVITY, kinds

SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
PURPOSES, ANY_PURPOSE = "http://terminology.hl7.org/ValueSet/v3-PurposeOfUse", "PurposeOfUse"
GRANTEES = ("Practitioner", "PractitionerRole", "Organization", "CareTeam", "Group")
KNOWN = frozenset(
    [
        "resourceType",
        "id",
        "meta",
        "language",
        "text",
        "contained",
        "extension",
        "identifier",
        "status",
        "scope",
        "category",
        "patient",
        "dateTime",
        "performer",
        "organization",
        "sourceAttachment",
        "sourceReference",
        "policy",
        "provision",
    ]
)
IN_PROVISION = frozenset(
    ["id", "type", "period", "actor", "securityLabel", "purpose", "dataPeriod", "data", "provision"]
)
MOST = 1000  # rules of one Consent
MOST_OF_PATIENT, MOST_RELATED = 5000, 200  # rules of one patient: all, and those that read the bytes of each row
EVERYBODY, EVERYTHING, ALL_DATA = 0, (None, None), (None, None, None)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = ("consent", "patient", "depth", "permit", "grantee", "among", "purposes", "since", "until", "data_since",
           "data_until", "cover", "labelled", "instance", "authored", "related")  # fmt: skip
TYPES = ("int8", "int8", "int2", "bool", "int8", "int8", "varchar[]", "timestamptz", "timestamptz", "int8", "int8",
         "int8", "int8", "int8", "int8", "varchar")  # fmt: skip
RELATING = ("Encounter", "CarePlan", "EpisodeOfCare")  # what other data can be related to (IHE PCF)


@dataclass(frozen=True, slots=True)
class Provision:
    """One provision as understood; None: it does not say."""

    permit: bool
    grantees: tuple | None = None
    purposes: tuple | None = None
    period: tuple = EVERYTHING  # microseconds
    dates: tuple = EVERYTHING
    labels: tuple | None = None  # (cover, labelled) of a permit, (0, labelled) of a deny
    data: tuple | None = None  # of (instance, authored, related)
    nested: tuple = field(default=())


def is_privacy(resource):
    """Does its scope say that it is about privacy?"""
    return any(c.get("code") == "patient-privacy" for c in (resource.get("scope") or {}).get("coding") or ())


def has_effect(resource):
    return resource.get("status") == "active" and is_privacy(resource)


@before_write("Consent")
def enforceable(resource):
    """Nothing of an active privacy Consent is ignored; any other is kept without effect."""
    if any(i.severity in ("error", "fatal") and i.code not in BUSINESS for i in check(resource, "Consent")):
        return  # what is no Consent at all is refused for that
    if not is_privacy(resource):
        yield Issue("information", "informational", "Of this scope a Consent is stored and has no effect on access.",
                    "Consent.scope")  # fmt: skip
    elif resource.get("status") != "active":
        yield Issue("information", "informational", "If not active, a Consent is stored and has no effect on access.",
                    "Consent.status")  # fmt: skip
    else:
        faults = []
        understood(resource, faults)
        if settings.FHIRSERVER_STRICT_CONSENT:
            yield from faults
        elif faults:
            yield Issue("warning", "business-rule", CLOSES, "Consent.provision")
            yield from (replace(fault, severity="warning") for fault in faults)


def understood(resource, faults):
    """The Provision of an active privacy Consent; what is wrong or cannot be enforced goes to `faults`."""

    def fault(place, text):
        faults.append(Issue("error", "business-rule", text, place))

    unknown(resource, KNOWN, "Consent", fault)
    codings = resource["scope"].get("coding") or ()
    if not any(c.get("system") == SCOPE and c.get("code") == "patient-privacy" for c in codings):
        fault("Consent.scope", f"The scope patient-privacy needs the system {SCOPE}.")
    if patient_of(resource) is None:
        fault("Consent.patient", "The patient must be named as Patient/[id].")
    for key in ("dateTime", "performer", "organization", "provision"):
        if not resource.get(key):
            fault(f"Consent.{key}", "A privacy Consent that takes effect needs it. (IHE PCF)")
    if not (resource.get("sourceAttachment") or resource.get("sourceReference")):
        fault("Consent.source", "A privacy Consent that takes effect names its source. (IHE PCF)")
    policies = resource.get("policy") or ()
    if not policies or any(not p.get("uri") for p in policies):
        fault("Consent.policy.uri", "A privacy Consent that takes effect names its policy by uri. (IHE PCF)")
    for n, performer in enumerate(resource.get("performer") or ()):
        if not (named := local(performer.get("reference") or "")) or named[0] not in ("Patient", "RelatedPerson"):
            fault(f"Consent.performer[{n}]", "The performer is a Patient or a RelatedPerson. (IHE PCF)")
    root = provision(resource.get("provision") or {}, "Consent.provision", 0, fault)
    if size(root) > MOST:
        fault(
            "Consent.provision",
            f"Who and what are named in its provisions make more than {MOST} rules; write several Consents.",
        )
    return root


def unknown(tree, known, place, fault):
    """Everything beside the known keys is refused by name; extensions of primitives too."""
    for key in tree:
        if key.lstrip("_") not in known or (key.startswith("_") and place != "Consent"):
            fault(
                f"{place}.{key.lstrip('_')}", f"{key} is not enforced here: a Consent that takes effect cannot hold it."
            )


def provision(given, place, depth, fault):
    unknown(given, IN_PROVISION, place, fault)
    if given.get("type") not in ("permit", "deny"):
        fault(f"{place}.type", "A provision says permit or deny.")
    permit = given.get("type") == "permit"
    nested = []
    for n, inner in enumerate(given.get("provision") or ()):
        where = f"{place}.provision[{n}]"
        if depth:
            fault(where, "Exceptions of exceptions are not enforced here.")
        else:
            nested.append(provision(inner, where, 1, fault))
    own = data(given.get("data"), place, fault)
    for n, inner in enumerate(nested):
        if inner.permit and inner.data and own:
            fault(
                f"{place}.provision[{n}].data", "Data named inside a provision that names data are not enforced here."
            )
    return Provision(
        permit,
        grantees(given.get("actor"), place, fault),
        purposes(given.get("purpose"), place, fault),
        period(given.get("period"), f"{place}.period", fault),
        period(given.get("dataPeriod"), f"{place}.dataPeriod", fault),
        labels(given.get("securityLabel"), permit, place, fault),
        own,
        tuple(nested),
    )


def grantees(actors, place, fault):
    found = []
    for n, actor in enumerate(actors or ()):
        where = f"{place}.actor[{n}]"
        unknown(actor, frozenset(("id", "role", "reference")), where, fault)
        roles = (actor.get("role") or {}).get("coding") or ()
        if not any(c.get("system") == ROLE and c.get("code") == "IRCP" for c in roles):
            fault(f"{where}.role", "The role of a grantee is IRCP (information recipient). (IHE PCF)")
        named = literal(actor.get("reference"))
        if named is None or named[0] not in GRANTEES:
            fault(f"{where}.reference", f"A grantee is named as Type/[id]; the type is one of {', '.join(GRANTEES)}.")
        else:
            found.append(identity(*named))
    return tuple(dict.fromkeys(found)) or None


def purposes(codings, place, fault):
    """The codes; one that nobody can state would be a rule that never holds."""
    for n, coding in enumerate(codings or ()):
        where, code = f"{place}.purpose[{n}]", coding.get("code")
        if coding.get("system") != REASON or code not in codes(PURPOSES):
            fault(where, f"A purpose is a code of {REASON}, of those of {PURPOSES}.")
        elif code == ANY_PURPOSE:
            fault(where, "This code stands for every purpose: a provision without purpose says so.")
    return tuple(dict.fromkeys(c.get("code") for c in codings or () if c.get("code"))) or None


def all_of(purposes):
    """These purposes and those that they subsume; None stays None."""
    return purposes and tuple(sorted({each for p in purposes for each in specified_below(REASON, p)}))


def period(given, place, fault):
    """(low, high) in microseconds, both within."""
    if given is None:
        return EVERYTHING
    unknown(given, frozenset(("id", "start", "end")), place, fault)
    try:
        low = interval(given["start"])[0] if "start" in given else None
        high = interval(given["end"])[1] if "end" in given else None
    except ValueError as error:
        fault(place, str(error))
        return EVERYTHING
    if low is None and high is None:
        fault(place, "A period has a start or an end.")
    return low, high


def labels(codings, permit, place, fault):
    """A permit reaches confidentiality up to the one named, and the sensitivities named; a deny the opposite way."""
    if not codings:
        return None
    cover, labelled, everything = 0, 0, False
    for n, coding in enumerate(codings):
        system, code = coding.get("system"), coding.get("code")
        if system == CONFIDENTIALITY and code in COVERED:
            if permit:
                cover, everything = cover | COVERED[code], True
            elif code in DENIED:
                labelled |= DENIED[code]
            else:
                everything = True
        elif system == SENSITIVITY and code in SENSITIVE:
            cover, labelled = cover | SENSITIVE[code], labelled | (SENSITIVE[code] if permit else kinds(code))
        else:
            fault(f"{place}.securityLabel[{n}]", f"The label {code!r} of {system} is not one that is enforced here.")
    return (cover if permit else 0), (0 if everything else labelled)


def data(given, place, fault):
    found = []
    for n, each in enumerate(given or ()):
        where = f"{place}.data[{n}]"
        unknown(each, frozenset(("id", "meaning", "reference")), where, fault)
        named = literal(each.get("reference"))
        if each.get("meaning") not in ("instance", "authoredby", "related"):
            fault(
                f"{where}.meaning",
                f"{each.get('meaning')!r} is not enforced here; instance, related and authoredby are.",
            )
        elif named is None:
            fault(f"{where}.reference", "The data are named as Type/[id].")
        elif each["meaning"] == "instance":
            found.append((identity(*named), None, None))
        elif each["meaning"] == "related":
            if named[0] not in RELATING:
                fault(f"{where}.reference", f"Data are related to Type/[id]; the type is one of {', '.join(RELATING)}.")
            else:
                found.append((identity(*named), None, "/".join(named)))
        elif named[0] != "Practitioner":
            fault(f"{where}.reference", "The author of data is named as Practitioner/[id].")
        else:
            found.append((None, identity(*named), None))
    return tuple(dict.fromkeys(found)) or None


def literal(reference):
    """(type, id) of a Reference to this server and nothing else."""
    if not isinstance(reference, dict) or not isinstance(reference.get("reference"), str):
        return None
    return local(reference["reference"])


def patient_of(resource):
    """Key of the patient."""
    named = literal(resource.get("patient"))
    return identity(*named) if named and named[0] == "Patient" else None


# from provisions to rules

# What cannot be enforced whole is never enforced in part: nobody but the patient gets in by or beside it.
CLOSED = Provision(permit=False)
CLOSES = "Not all of this Consent can be enforced here: while it is active it denies everybody but the patient."


def rules(root) -> Iterable[tuple]:
    """Rows without (consent, patient): the provision, then its exceptions, each with what it does not say inherited."""
    for each in provisions(root):
        yield from each_rule(*each)


def provisions(root):
    """(provision, depth, whom else it must name) of the provision and its exceptions."""
    yield root, 0, (EVERYBODY,)
    for inner in root.nested:
        if (exception := inherited(inner, root)) is not None:
            yield exception, 1, root.grantees if inner.permit and root.grantees else (EVERYBODY,)


def size(root):
    """How many rules there would be."""
    return sum(len(p.grantees or (0,)) * len(among) * len(p.data or (0,)) for p, _, among in provisions(root))


def inherited(inner, root):
    """An exception as it stands alone; None when it excepts nothing.

    What it leaves open is as around it. A permit stays within what is around it; a deny may say more, and is heard.
    """
    found = replace(
        inner,
        grantees=inner.grantees or root.grantees,
        purposes=inner.purposes or (root.purposes if root.permit else all_of(root.purposes)),
        labels=inner.labels or around(inner, root),
        data=inner.data or root.data,
        period=both(inner.period, root.period),
        dates=both(inner.dates, root.dates) if inner.permit or inner.dates == EVERYTHING else inner.dates,
    )
    if inner.permit and inner.purposes and root.purposes:
        found = replace(found, purposes=tuple(p for p in inner.purposes if p in all_of(root.purposes)))
        return found if found.purposes else None
    return found


def around(inner, root):
    """The labels that an exception without any takes over."""
    if root.labels is None or inner.permit == root.permit:
        return root.labels
    _, labelled = root.labels
    return (labelled, labelled) if inner.permit else (0, labelled)


def both(one, other):
    """What lies in both periods."""
    lows, highs = [v for v in (one[0], other[0]) if v is not None], [v for v in (one[1], other[1]) if v is not None]
    return (max(lows) if lows else None), (min(highs) if highs else None)


def each_rule(p, depth, among):
    """Its rows: a permit is for the purposes that it names, a deny for all that these subsume."""
    cover, labelled = p.labels or (0, 0)
    purposes = p.purposes if p.permit else all_of(p.purposes)
    for grantee, around, of in product(p.grantees or (EVERYBODY,), among, p.data or (ALL_DATA,)):
        yield (
            depth, p.permit, grantee, around, list(purposes) if purposes else None, moment(p.period[0]),
            moment(p.period[1], after=1), *p.dates, cover, labelled, *of,
        )  # fmt: skip


def moment(microseconds, after=0):
    """As PostgreSQL keeps it; a period that begins or ends outside the years 1 to 9999 has no bound there."""
    try:
        return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds + after)
    except OverflowError:
        return None


@receiver(resources_written)
def consents_were_written(batch, **_):
    """The rules of each Consent are those of its current version, and of no other."""
    written = [d for d in batch if d.type == "Consent"]
    if not written:
        return
    execute("DELETE FROM consent_rule WHERE consent = ANY(%s)", ([d.pk for d in written],))
    rows = []
    for d in written:
        if d.resource is not None and has_effect(d.resource):
            faults = []
            root = understood(d.resource, faults)
            if faults and settings.FHIRSERVER_STRICT_CONSENT:
                raise Invalid(issues=faults)
            if patient_of(d.resource) is not None:
                rows += [(d.pk, patient_of(d.resource), *rule) for rule in rules(CLOSED if faults else root)]
    insert("consent_rule", COLUMNS, TYPES, rows)
    bounded({patient for _, patient, *_ in rows})


def bounded(patients):
    """Whoever searches waits for the rules of each record that is met: no patient's are without an end."""
    over = execute(
        "SELECT FROM consent_rule WHERE patient = ANY(%s) GROUP BY patient"
        " HAVING count(*) > %s OR count(related) > %s LIMIT 1",
        (sorted(patients), MOST_OF_PATIENT, MOST_RELATED),
    ) if patients else ()  # fmt: skip
    if over:
        raise Invalid(
            f"The active Consents of a patient make at most {MOST_OF_PATIENT} rules, {MOST_RELATED} of them about what"
            " is related to something; end others first.",
            expression="Consent.provision",
        )
