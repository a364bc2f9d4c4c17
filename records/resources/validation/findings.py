"""What a checker found: it rises from the element to the resource and gathers its path on the way.

A checker is a function (value, parent, depth) -> list of Finding, or None when all is well. `parent` is the object
that holds the value, `depth` the JSON level. Nothing is built for a valid resource.
"""

from records.errors import Issue


class Finding:
    """A problem with its path as known so far; or, with `local`, a fragment `#local` that somebody must resolve."""

    __slots__ = ("allowed", "code", "local", "path", "severity", "text")

    def __init__(self, code, text, severity="error", path="", local=None, allowed=()):
        self.code, self.text, self.severity, self.path = code, text, severity, path
        self.local, self.allowed = local, allowed  # the types that the fragment may name

    def issue(self, root: str) -> Issue:
        return Issue(self.severity, self.code, self.text, root + self.path)


def lift(found, risen, step):
    """Add what rose from a child to what is found here; `step` is ".name" or "[3]"."""
    for finding in risen:
        finding.path = step + finding.path
    if found is None:
        return risen
    found += risen
    return found


def add(found, code, text, path="", severity="error"):
    """Add a problem of this node (or of the missing child at `path`)."""
    finding = Finding(code, text, severity, path)
    if found is None:
        return [finding]
    found.append(finding)
    return found


NAMES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


def kind(value) -> str:
    """The JSON type, for a sentence."""
    return NAMES.get(type(value), "a number")


def excerpt(value) -> str:
    """The value for a sentence: short, so that a megabyte is not echoed."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def mistyped(type, value):
    """Text, but the JSON value is not a string."""
    return [Finding("structure", f"{kind(value)} where a string ({type}) is expected")]
