"""FHIR as people read it: names, dates, values, titles. Narratives are never shown, so none can harm. (attack A56)"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from django.utils.formats import date_format, get_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accessctl.audit.history import DEFAULT
from accessctl.audit.history import words as words_of_history

from .vocabulary import CODES, DATES, DETAILS, FIRST, INS, NAMES, OF_MACHINES, ORDINARY, STATUSES, TITLES, VISITS, WORDS

MOMENT = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d))?)?)?")
STAMP = re.compile(MOMENT.pattern + r"(?:(?<=:\d\d):\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?")


def word(code):
    """A code of ours as a word; another one as it is."""
    return WORDS.get(code, code)


def history_words():
    """The words of the access history in the reader's language."""
    languages = words_of_history()["languages"]
    return languages.get(get_language() or "", languages[DEFAULT])


def deed(interaction):
    """What an operation of the rights did, as the access history tells it; another one as it is."""
    did = history_words()["did"].get(interaction.removeprefix("$"), "{")
    return interaction if "{" in did else did.removeprefix("– ")


def profession(code):
    """The name of a profession with its code (TRE_G15), as the access history names it."""
    name = history_words()["professions"].get(code, WORDS.get(code))
    return f"{name} ({code})" if name else code


def kind(type):
    return NAMES.get(type, type)


def concept(value):
    """Text of a CodeableConcept, a Coding, or a list of either."""
    if isinstance(value, list):
        return ", ".join(filter(None, map(concept, value)))
    if not isinstance(value, dict):
        return value if isinstance(value, str) else ""
    codings = value.get("coding") or ()
    shown = [c.get("display") for c in codings if c.get("display")] or [c.get("code") for c in codings if c.get("code")]
    return value.get("text") or (shown[0] if shown else "") or value.get("display") or value.get("code") or ""


def code_of(resource):
    """(system, code) of the first coding of what it is."""
    for coding in (resource.get("code") or {}).get("coding") or ():
        if coding.get("code"):
            return coding.get("system") or "", coding["code"]
    return "", ""


def name(resource):
    """Name of a person or an organization."""
    names = resource.get("name")
    if isinstance(names, str):
        return names
    if not names:
        return _("without name")
    best = next((n for use in ("usual", "official") for n in names if n.get("use") == use), names[0])
    parts = [*(best.get("prefix") or ()), *(best.get("given") or ())[:1], best.get("family") or ""]
    return best.get("text") or " ".join(filter(None, parts)) or _("without name")


def birth_name(patient):
    """The family name at birth where another is in use, else ""."""
    official = next((n.get("family", "") for n in patient.get("name") or () if n.get("use") == "official"), "")
    return "" if official and official in name(patient) else official


def identifiers(patient):
    """The INS first, what else there is after it."""
    found = [i | {"ins": i.get("system") in INS} for i in patient.get("identifier") or () if i.get("value")]
    return sorted(found, key=lambda i: not i["ins"])


def started(resource):
    """The text of the date by which it is sorted, "" when it has none."""
    for element in DATES:
        if element in resource:
            value = resource[element]
            return (value.get("start") or value.get("end") or "") if isinstance(value, dict) else value
    return ""


def moment(text):
    """A FHIR date as people write it, as precise as it is; the clock is that of the place it names, of UTC is ours."""
    match = MOMENT.match(text or "")
    if not match:
        return ""
    year, month, day, clock = match.groups()
    try:
        if month is None:
            return year
        if day is None:
            return date_format(date(int(year), int(month), 1), "F Y")
        said = day_of(date(int(year), int(month), int(day)))
    except ValueError:
        return text
    if clock and text.endswith(("Z", "+00:00")):
        try:
            return instant(datetime.fromisoformat(text))
        except ValueError:  # a leap second, which Python has no word for
            return f"{said}, {clock} UTC"
    return f"{said}, {clock}" if clock else said


def day_of(at):
    """A day in words."""
    return f"{FIRST if at.day == 1 else at.day} {date_format(at, 'F Y')}"


def age(birth):
    """Whole years since a complete date of birth, else None."""
    try:
        born, today = date.fromisoformat(birth or ""), date.today()
    except ValueError:
        return None
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def quantity(value):
    """Number and unit; every digit that was sent, with the decimal mark of the language."""
    if not isinstance(value, dict) or value.get("value") is None:
        return ""
    unit = value.get("unit") or value.get("code") or ""
    number = str(value["value"]).replace(".", get_format("DECIMAL_SEPARATOR"))
    return f"{value.get('comparator') or ''}{number} {unit}".strip()


def interval(low, high):
    """Two quantities; a unit of both is said once."""
    parts = [quantity(each) for each in (low, high)]
    if all(parts) and (low.get("unit"), low.get("code")) == (high.get("unit"), high.get("code")):
        parts[0] = quantity({k: v for k, v in low.items() if k not in ("unit", "code")})
    return " – ".join(filter(None, parts))


def value(resource):
    """The result of an Observation, its components together."""
    for key, given in resource.items():
        if key.startswith("value") and len(key) > 5:
            return simple(given)
    parts = [(concept(c.get("code")), value(c)) for c in resource.get("component") or ()]
    if len(parts) == 2 and all(v for _name, v in parts) and code_of(resource)[1] == "85354-9":
        return "/".join(v.split(" ")[0] for _name, v in parts) + " mmHg"
    return ", ".join(f"{n}: {v}" for n, v in parts if v) or concept(resource.get("dataAbsentReason"))


def simple(given):
    """Any small value."""
    if isinstance(given, bool):
        return _("yes") if given else _("no")
    if not isinstance(given, dict):
        return moment(given) if isinstance(given, str) and STAMP.fullmatch(given) else str(given)
    if "value" in given and ("unit" in given or "code" in given):
        return quantity(given)
    if "low" in given or "high" in given:
        return interval(given.get("low"), given.get("high"))
    if "start" in given or "end" in given:
        return f"{moment(given.get('start'))} – {moment(given.get('end'))}".strip(" –")
    return concept(given) or given.get("reference") or str(given.get("value", ""))


def limits(resource):
    """(low, high, text) of the first reference range; numbers or None."""
    for given in resource.get("referenceRange") or ():
        low, high = given.get("low"), given.get("high")
        text = given.get("text") or interval(low, high)
        if low and not high:
            text = given.get("text") or f"≥ {quantity(low)}"
        if high and not low:
            text = given.get("text") or f"≤ {quantity(high)}"
        return magnitude(low), magnitude(high), text
    return None, None, ""


def magnitude(given):
    """The number of a Quantity, or None."""
    try:
        return float(given["value"])
    except (TypeError, KeyError, ValueError):
        return None


def flag(resource):
    """ "low" or "high" beside the reference range, "" within it or without."""
    found, (low, high, _text) = magnitude(resource.get("valueQuantity")), limits(resource)
    if found is None:
        return ""
    return "low" if low is not None and found < low else "high" if high is not None and found > high else ""


def title(resource):
    for element in TITLES:
        if said := concept(resource.get(element)):
            return said
    return resource.get("description") or str(kind(resource["resourceType"]))


def code(value):
    """The code of a status, which is one or a concept."""
    if isinstance(value, dict):
        return next((c["code"] for c in value.get("coding") or () if c.get("code")), "") or value.get("code") or ""
    return value or ""


def coded(value):
    """A code as a word, what it is named where we have none."""
    return str(CODES[code(value)]) if code(value) in CODES else concept(value)


def status(resource):
    """The code of how it stands: first whether it is so at all."""
    doubtful = code(resource.get("verificationStatus"))
    if doubtful not in ("", "confirmed"):
        return doubtful
    return next((code(resource[element]) for element in STATUSES if element in resource), "")


def remark(resource):
    """How it stands in words, where that is not what readers would expect; else ""."""
    found = status(resource)
    return "" if found in ORDINARY else str(CODES.get(found, found))


def details(tree, name_of):
    """[(label, text)] of an entry in words; `name_of` names what it refers to, and is asked for nothing else."""
    stands = "" if remark(tree) or tree["resourceType"] == "Immunization" else status(tree)  # a remark stands above
    found = [(_("Status"), coded(stands))]
    if tree["resourceType"] == "Observation":
        found += [(_("Reference range"), limits(tree)[2])]
        found += [(concept(c.get("code")), value(c)) for c in tree.get("component") or ()]
    for path, label in DETAILS:
        if f"{tree['resourceType']}.{path}" in OF_MACHINES:
            continue
        for each in reached(tree, path.split(".")):
            reference = each.get("reference") if isinstance(each, dict) else None
            text = each.get("display") or name_of(reference) if reference else detail(each)
            found.append((str(label), text))
    return [(label, text) for label, text in dict.fromkeys(found) if text]


def detail(given):
    """A code, a concept, a period or any small value as text."""
    if isinstance(given, dict) and ("start" in given or "end" in given):
        return simple(given)
    return coded(given) if isinstance(given, dict) or given in CODES else simple(given)


def reached(tree, path):
    """The values at a path, lists flattened."""
    for each in tree if isinstance(tree, list) else [tree]:
        given = each.get(path[0]) if isinstance(each, dict) else None
        if given is None:
            continue
        if len(path) > 1:
            yield from reached(given, path[1:])
        else:
            yield from given if isinstance(given, list) else [given]


def summary(resource):
    """One line of what it says, beside title and date."""
    match resource["resourceType"]:
        case "Observation":
            return value(resource)
        case "DiagnosticReport":
            return resource.get("conclusion", "")
        case "DocumentReference":
            return resource.get("description", "")
        case "MedicationStatement" | "MedicationRequest":
            doses = resource.get("dosage") or resource.get("dosageInstruction") or ()
            return "; ".join(d["text"] for d in doses if d.get("text"))
        case "AllergyIntolerance":
            return concept([m for r in resource.get("reaction") or () for m in r.get("manifestation") or ()])
        case "Encounter":
            kind = resource.get("class") or {}
            return concept(resource.get("reasonCode")) or str(VISITS.get(kind.get("code"), "")) or concept(kind)
    return ""


def item(resource, since=None):
    """A resource as lists show it."""
    written = (resource.get("meta") or {}).get("lastUpdated", "")
    return {
        "type": resource["resourceType"], "id": resource["id"], "kind": kind(resource["resourceType"]),
        "title": title(resource), "date": started(resource), "when": moment(started(resource)),
        "summary": summary(resource), "status": status(resource), "remark": remark(resource), "flag": flag(resource),
        "new": bool(since and written > since), "masked": masked(resource), "who": who(resource),
    }  # fmt: skip


def masked(resource):
    return any(s.get("code") == "MASQUE_PS" for s in (resource.get("meta") or {}).get("security") or ())


def who(resource):
    """Names of who made it, as far as the resource says them."""
    found = []
    for element in ("author", "performer", "interpreter", "recorder", "requester", "asserter", "informationSource"):
        given = resource.get(element)
        for each in given if isinstance(given, list) else [given] if given else ():
            each = each.get("actor") or each
            if each.get("display"):
                found.append(each["display"])
    return ", ".join(dict.fromkeys(found))


HIDDEN = frozenset(("resourceType", "id", "meta", "text", "contained", "data", "div"))


def facts(tree, depth=0):
    """A resource as (label, text or facts) pairs, whatever its type: nothing but text reaches the page."""
    found = []
    for key, given in tree.items():
        if key in HIDDEN or key.startswith("_"):
            continue
        for each in given if isinstance(given, list) else [given]:
            label = words(key)
            if not isinstance(each, dict):
                found.append((label, simple(each)))
            elif {"coding", "reference", "start", "end", "unit"} & each.keys() or (said(each) and depth > 2):
                found.append((label, said(each)))
            elif key == "extension" and "url" in each:
                inner = {k: v for k, v in each.items() if k != "url"}
                found.append((words(each["url"].rsplit("/", 1)[-1]), facts(inner, depth + 1)))
            else:
                found.append((label, facts(each, depth + 1)))
    return found


def said(each):
    return simple(each)


def words(key):
    """birthPlace -> Birth place."""
    text = re.sub(r"[-_]|(?<=[a-z])(?=[A-Z])", " ", key)
    return text[:1].upper() + text[1:].lower()


@cache
def zone():
    """Whose clock the pages show: that of the access history, so that one page never contradicts another."""
    return ZoneInfo(words_of_history()["timeZone"])


def local(at):
    """A time of the database by the clock of the pages."""
    return at.astimezone(zone()) if isinstance(at, datetime) else at


def instant(at):
    """A time of the database as text."""
    return f"{day_of(local(at))}, {date_format(local(at), 'H:i')}" if isinstance(at, datetime) else ""


def day_ends(text):
    """The last second of the day of a form by the clock of the pages."""
    return datetime.combine(date.fromisoformat(text), time(23, 59, 59), zone())


def day_begins(text, after=0):
    """When the day of a form begins by the clock of the pages, or one so many days after, as FHIR writes it."""
    at = datetime.combine(date.fromisoformat(text) + timedelta(days=after), time.min, zone())
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
