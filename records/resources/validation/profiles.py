"""Does a resource keep to a profile? (profiling.html)

The profile's snapshot becomes a tree of nodes; the resource is walked along it: cardinalities, fixed and pattern
values, types, required bindings, invariants, and slices chosen by value, pattern, type or existence. What cannot be
judged here (a discriminator behind resolve(), an external value set) is named in an information issue.
"""

from dataclasses import dataclass, field
from functools import cache

from records.definitions import profiles, valuesets
from records.definitions.structures import is_resource_type, structure
from records.fhirpath.engine import evaluate

from .bindings import MAKERS
from .findings import Finding, excerpt, lift
from .invariants import ELSEWHERE
from .references import targets
from .rules import RULES

CORE = "http://hl7.org/fhir/StructureDefinition/"


@dataclass
class Node:
    """One element of a snapshot with the elements below it and its slices."""

    element: dict
    children: dict = field(default_factory=dict)  # "code", "value[x]" -> Node
    slices: dict = field(default_factory=dict)  # "SystolicBP" -> Node

    def given(self, word):
        """The fixed[x] or pattern[x] value, in a tuple of none or one."""
        return tuple(v for k, v in self.element.items() if k.startswith(word))


@cache
def tree(url: str) -> tuple[str, str, Node] | None:
    """(name, type, root node) of a known profile."""
    profile = profiles.profile(url)
    if not profile:
        return None
    nodes = {}
    for element in profile["elements"]:
        node = nodes[element["id"]] = Node(element)
        above, _, last = element["id"].rpartition(".")
        name, _, slice = last.partition(":")
        sliced = nodes.get(f"{above}.{name}")
        if slice and sliced:
            sliced.slices[slice] = node
        elif above:
            # A slice name without a slicing is only a label (familymemberhistory-genetic).
            nodes[above].children[name] = node
    return profile["name"], profile["type"], nodes[profile["elements"][0]["id"]]


def check_profile(resource: dict, url: str) -> list[Finding] | None:
    """Every problem of a resource by one profile; None when the profile is not known here."""
    found = tree(url.partition("|")[0])
    if not found:
        return None
    name, type, root = found
    # The one profile on a data type (ElementDefinition) fits no resource.
    if resource.get("resourceType") != type:
        return [Finding("structure", f"{name}: the profile is one of {type}", path=".resourceType")]
    findings = walk(root, resource, type, resource)
    for finding in findings:
        finding.text = f"{name}: {finding.text}"
    return findings


# --- the walk


def walk(node: Node, value, type: str, resource) -> list[Finding]:
    """One value against one node."""
    found = [*values(node, value), *invariants(node, value, type, resource)]
    if value.__class__ is dict:
        if type == "Reference":
            found += pointed(node, value)
        for name, child in node.children.items():
            found += element(child, name, value, type, resource)
    return found


def element(node: Node, name: str, parent: dict, type: str, resource) -> list[Finding]:
    """The values of one element under its parent: how many, of which types, in which slices."""
    present = select(parent, type, name)
    plain = name.removesuffix("[x]")
    known = base(type, name)
    found = counted(node.element, present, plain, known)
    allowed = {t["code"] for t in node.element["types"]}
    for step, value, own in present:
        if name.endswith("[x]") and own not in allowed:
            text = f"{own} is not allowed here; expected {' or '.join(sorted(allowed))}"
            found.append(Finding("structure", text, path=step))
        else:
            found += lift(None, walk(node, value, own, resource) + bound(node, value, own, known), step)
    if node.slices:
        found += sliced(node, present, plain, known, resource)
    return found


def sliced(node: Node, present, plain, known, resource) -> list[Finding]:
    """Each value belongs to the first slice it matches; slices have their own cardinality and content."""
    discriminators = node.element.get("slicing", {}).get("discriminator", ())
    blind = [d for d in discriminators if d["type"] == "profile" or "resolve()" in d["path"]]
    if blind:
        paths = ", ".join(f"{d['type']} of {d['path']}" for d in blind)
        return [Finding("informational", f"the slices by {paths} are not checked", "information", f".{plain}")]
    found, members, rest = [], {name: [] for name in node.slices}, []
    for item in present:
        name = next((n for n, s in node.slices.items() if all(belongs(s, d, item) for d in discriminators)), None)
        (rest if name is None else members[name]).append(item)
    for name, items in members.items():
        slice = node.slices[name]
        found += counted(slice.element, items, plain, None, f" in the slice {name}")
        for step, value, own in items:
            found += lift(None, walk(slice, value, own, resource) + bound(slice, value, own, known), step)
    by_type = all(d["type"] == "type" for d in discriminators)
    # Slices by type in these snapshots name only the types they say more about: the list of types closes them.
    if node.element["slicing"].get("rules") == "closed" and not by_type:
        found += [Finding("structure", "belongs to no slice of a closed slicing", path=step) for step, _, _ in rest]
    return found


def counted(element: dict, present, plain, base, where="") -> list[Finding]:
    """Cardinality, where it is stricter than the base type's."""
    low, high = element.get("min", 0), element.get("max", "*")
    path = f".{plain}"
    if len(present) < low and (base is None or low > base.min):
        said = f"{plain} is required{where}" if low == 1 else f"at least {low} {plain} are required{where}"
        return [Finding("required", said, path=path)]
    if high != "*" and len(present) > int(high) and (base is None or base.max is None or int(high) < base.max):
        said = f"{plain} is not allowed{where}" if high == "0" else f"at most {high} {plain} are allowed{where}"
        return [Finding("structure", said, path=path)]
    return []


def base(type: str, name: str):
    """The base type's Element, for its cardinality."""
    above = structure(type)
    key = above.choices.get(name.removesuffix("[x]"), (name,))[0] if above else name
    return above.elements.get(key) if above else None


def select(parent: dict, type: str, name: str) -> list[tuple]:
    """(path step, value, type) of each value of an element; None where a primitive has extensions only."""
    above = structure(type)
    if above is None:
        return []
    found = []
    for key in above.choices.get(name.removesuffix("[x]"), (name,)):
        known = above.elements.get(key)
        if known is None or (key not in parent and "_" + key not in parent):
            continue
        given = parent.get(key)
        items = given if isinstance(given, list) else [given] if known.max == 1 else parent.get("_" + key)
        for index, value in enumerate(items if isinstance(items, list) else [items]):
            own = value.get("resourceType") if known.type == "Resource" and isinstance(value, dict) else known.type
            step = f".{key}" if known.max == 1 else f".{key}[{index}]"
            found.append((step, value if given is not None else None, own))
    return found


# --- what one node says of one value


def values(node: Node, value) -> list[Finding]:
    """fixed[x] is the whole value, pattern[x] a part of it. (elementdefinition-definitions.html)"""
    found = [
        Finding("value", f"{excerpt(value)} is not the fixed value {excerpt(expected)}")
        for expected in node.given("fixed")
        if value != expected
    ]
    return found + [
        Finding("value", f"{excerpt(value)} does not have the pattern {excerpt(expected)}")
        for expected in node.given("pattern")
        if not contains(value, expected)
    ]


def contains(value, pattern) -> bool:
    """Everything the pattern says, the value says; the value may say more."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(k in value and contains(value[k], v) for k, v in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(contains(v, p) for v in value) for p in pattern)
    return value == pattern


def invariants(node: Node, value, type: str, resource) -> list[Finding]:
    """The profile's own; those of the base were judged with the structure."""
    found = []
    for given in node.element.get("constraints", ()):
        key, severity = given["key"], given["severity"]
        if key in RULES or key in ELSEWHERE or severity == "best-practice" or value is None:
            continue
        result = evaluate(given["expression"], value, {"resource": resource}, None if value is resource else type)
        # An expression that yields nothing could not be decided.
        if any(v.value is False for v in result):
            found.append(Finding("invariant", f"{key}: {given['human']}", severity))
    return found


def bound(node: Node, value, type: str, known) -> list[Finding]:
    """A required binding that the base type has not; one that cannot be enumerated is named."""
    strength, url = node.element.get("binding", (None, None))
    if strength != "required" or type not in MAKERS or value is None or known.binding == (strength, url):
        return []
    # Where a choice offers Quantity and string, the binding means the Quantity.
    if known.choice and type == "string":
        return []
    if valuesets.codes(url) is None:
        return [Finding("informational", f"the codes of {url} cannot be enumerated here", "information")]
    return MAKERS[type](url)(value, None, 0) or []


def pointed(node: Node, value: dict) -> list[Finding]:
    """A reference at the types that the profile leaves."""
    names = [name for t in node.element["types"] for name in t.get("targets", ())]
    types = {n if is_resource_type(n) else (profiles.profile(CORE + n) or {}).get("type") for n in names}
    if not names or None in types:
        return []
    # A fragment was resolved with the structure.
    found = [f for f in targets(tuple(sorted(types)))(value, None, 0) or () if f.local is None]
    further = [n for n in names if not is_resource_type(n)]
    if further and "reference" in value:
        text = f"whether the target keeps to {' or '.join(further)} is not checked"
        found.append(Finding("informational", text, "information"))
    return found


# --- slices


def belongs(slice: Node, discriminator: dict, item: tuple) -> bool:
    """Does the value match the slice by one discriminator? (profiling.html#discriminator)"""
    _, value, type = item
    kind, path = discriminator["type"], discriminator["path"]
    steps = [] if path == "$this" else path.split(".")
    if kind == "type":
        return not steps and type in {t["code"] for t in slice.element["types"]}
    if kind == "exists":
        end = descend(slice, steps)
        wanted = not end or end[0].element.get("max") != "0"
        return bool(reached(value, steps)) == wanted
    expected = [*expectations(slice, steps)]
    return any(test(actual) for actual in reached(value, steps) for test in expected)


def expectations(node: Node, steps: list):
    """Tests that the slice implies for the value at the end of the path: fixed, pattern, binding, extension URL."""
    for whole in node.given("fixed") + node.given("pattern"):
        for expected in reached(whole, steps):
            yield lambda actual, expected=expected: contains(actual, expected)
    if not steps:
        strength, url = node.element.get("binding", (None, None))
        if strength == "required" and (codes := valuesets.codes(url)) is not None:
            yield lambda actual: actual.__class__ is str and actual in codes
        return
    if steps == ["url"]:
        for url in (CORE + p for t in node.element["types"] if t["code"] == "Extension" for p in t.get("profile", ())):
            yield lambda actual, url=url: actual == url
    for below in descend(node, steps[:1]):
        yield from expectations(below, steps[1:])


def descend(node: Node, steps: list) -> list[Node]:
    """The nodes at the end of a path, slices on the way included."""
    nodes = [node]
    for step in steps:
        nodes = [
            found
            for n in nodes
            for child in [n.children.get(step) or n.children.get(step + "[x]")]
            if child
            for found in (child, *child.slices.values())
        ]
    return nodes


def reached(value, steps: list) -> list:
    """The values at the end of a path, arrays flattened."""
    found = [value] if value is not None else []
    for step in steps:
        below = [v[step] for v in found if isinstance(v, dict) and step in v]
        found = [v for b in below for v in (b if isinstance(b, list) else [b])]
    return found
