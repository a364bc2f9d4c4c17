"""References inside resources: finding them, and rewriting those that a transaction resolves. (references.html)

Literal ("Patient/1"), absolute, contained ("#x"), logical (identifier only), to another entry of the same Bundle
("urn:uuid:..."), and conditional ("Practitioner?identifier=...").
"""

import re

from .. import errors
from ..definitions.structures import RESOURCE_TYPES
from .located import located

LINKS = frozenset(("url", "valueUri", "valueUrl", "valueUuid", "valueOid"))  # may hold a fullUrl of the Bundle too
CONDITIONAL = re.compile(r"(" + "|".join(RESOURCE_TYPES) + r")\?(.+)\Z", re.S)
IN_NARRATIVE = re.compile(r'((?:href|src)=")(urn:(?:uuid|oid):[^"]+)(")')


def places(resource):
    """Every (object, key, value) in the tree that holds a reference or a link, with its path."""
    stack = [(resource, "")]
    while stack:
        node, path = stack.pop()
        for key, value in node.items():
            kind = type(value)
            if kind is dict:
                stack.append((value, f"{path}.{key}" if path else key))
            elif kind is list:
                for n, item in enumerate(value):
                    if type(item) is dict:
                        stack.append((item, f"{path}.{key}[{n}]" if path else f"{key}[{n}]"))
            elif kind is str and (key == "reference" or key in LINKS or key == "div"):
                yield node, key, value, path


def resolve(resources, full_urls, find):
    """Rewrite, in place, references to other entries (full_urls: fullUrl -> "Type/id") and conditional references.

    `resources` are (tree, expression of its place in the Bundle, "" when alone). `find(type, criteria)` gives
    "Type/id". A urn: reference that no entry answers to is an error in a Bundle, and kept in a single resource.
    """
    found, wrong = {}, []
    for resource, expression in resources:
        for node, key, value, path in places(resource):
            if key == "div":
                if "urn:" in value:
                    node[key] = IN_NARRATIVE.sub(lambda m: m[1] + full_urls.get(m[2], m[2]) + m[3], value)
            elif value in full_urls:
                node[key] = full_urls[value]
            elif key != "reference":
                continue
            elif value.startswith("urn:") and expression:
                where = f"{expression}.{path}.reference"
                wrong.append(errors.Issue("error", "not-found", f"No entry has the fullUrl {value}.", where))
            elif "?" in value and (match := CONDITIONAL.match(value)):
                if value not in found:
                    try:
                        found[value] = find(match[1], match[2])
                    except errors.FHIRError as error:
                        raise located(error, f"{expression or resource['resourceType']}.{path}.reference") from error
                node[key] = found[value]
    if wrong:
        raise errors.BadRequest(issues=wrong)


def local(reference, base=""):
    """(type, id) of a literal reference to this server, or None."""
    if base and reference.startswith(base + "/"):
        reference = reference[len(base) + 1 :]
    parts = reference.split("/")
    if len(parts) not in (2, 4) or parts[0] not in RESOURCE_TYPES:
        return None
    return parts[0], parts[1]
