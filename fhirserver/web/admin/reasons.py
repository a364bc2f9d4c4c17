"""The sentences of the sources of access in the reader's language; one that is not known here stays as it is."""

import re

from django.utils.translation import gettext_lazy as _

from .. import readable

SENTENCES = {  # as accessctl/sources say them: a name in braces stands for any words
    "The actor created it.": _("This person created it."),
    "The actor created it, and it is in nobody's record.": _("This person created it, and it is in nobody's record."),
    "Only the author deletes.": _("Only its author deletes it."),
    "A patient of the row blocks this professional.": _("The patient blocks this professional."),
    "The record is closed.": _("The record is closed."),
    "An active consent of each patient permits it.": _("A consent of the patient permits it."),
    "An active consent of a patient denies it.": _("A consent of the patient denies it."),
    "A Consent is the patient's; no professional learns what it restricts.":
        _("A consent is the patient's: no professional learns what it restricts."),
    "{type} is directory or definition.": _("%(type)s is of the directory or a definition, which everybody may read."),
    "What names the Binary, as its attachment, is hidden.": _("The document of this file is hidden."),
    "Something that it names is hidden.": _("Something that it names is hidden."),
    "The glass of each patient of the row is broken by this professional, and the time is not over.":
        _("This professional opened the record in an emergency, and the time is not over."),
    "A professional may add to a record.": _("A professional may add to a record."),
    "A grant opens it.": _("The data-protection officers granted it."),
    "A grant withholds it.": _("The data-protection officers withhold it."),
    "It is not to be seen by the patient, or by the proxy.": _("It is not to be seen by the patient, or by the proxy."),
    "The patient masks it from professionals.": _("The patient hides it from professionals."),
    "No profession is known.": _("No profession of this person is known."),
    "The matrix in force opens this class of data to profession {profession}.":
        _("The matrix in force opens this class of data to this profession: %(profession)s."),
    "The purpose is not a forbidden one.": _("The purpose is not a forbidden one."),
    "The purpose {purpose} is forbidden.": _("The purpose %(purpose)s is forbidden."),
    "The row is in the record of the patient, or of a patient whom the proxy represents.":
        _("It is in the own record, or in that of a patient whom this person represents."),
    "A patient scope covers {code} of {type} for the patient in context.":
        _("A scope of one patient covers %(code)s of %(type)s."),
    "A {levels} scope covers {code} of {type} as far as {scopes}.":
        _("The scopes (%(levels)s) cover %(code)s of %(type)s as far as %(scopes)s."),
    "A {levels} scope covers {code} of {type}.": _("The scopes (%(levels)s) cover %(code)s of %(type)s."),
    "No scope covers {code} of {type}.": _("No scope covers %(code)s of %(type)s."),
    "The client {client} is registered.": _("The application %(client)s is registered."),
}  # fmt: skip
SOURCES = {
    "author": _("author"), "blocks": _("blocks"), "closed": _("closing"), "consent": _("consent"),
    "directory": _("directory"), "documents": _("files"), "emergency": _("emergency"), "feeding": _("adding"),
    "grants": _("grants"), "labels": _("labels"), "matrix": _("matrix"), "provenance": _("provenance"),
    "purpose": _("purpose"), "record": _("own record"), "scopes": _("scopes"), "service": _("application"),
}  # fmt: skip
KNOWN = [
    (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(sentence))), told)
    for sentence, told in SENTENCES.items()
]  # fmt: skip


def told(said):
    """What one source says, as the page shows it."""
    sentence = {"text": said.sentence, "known": False}
    for pattern, words in KNOWN:
        if match := pattern.fullmatch(said.sentence):
            found = match.groupdict()
            if "profession" in found:
                found["profession"] = readable.profession(found["profession"])
            if "code" in found:
                found["code"] = readable.word(found["code"])
            sentence = {"text": words % found if found else words, "known": True}
            break
    return {"source": SOURCES.get(said.source, said.source), "kind": said.kind, "holds": said.holds} | sentence
