"""Value sets expanded by the code systems at hand, when the build derives the data. (valueset.html#expansion)"""

from collections import defaultdict


class Unknown(Exception):
    """The codes of this include cannot be enumerated: the code system is not at hand in full."""


class Terminology:
    """ValueSets and CodeSystems by URL."""

    def __init__(self, definitions):
        self.valuesets, self.codesystems = {}, {}
        for d in definitions:
            (self.valuesets if d["resourceType"] == "ValueSet" else self.codesystems)[d["url"]] = d

    def expand(self, url: str) -> dict:
        """{"codes": {system: [code]}}, or {"codes": null, "systems": [...]} when some include is not enumerable."""
        compose = self.valuesets[url].get("compose", {})
        systems = sorted({i["system"] for i in compose.get("include", ()) if "system" in i})
        try:
            pairs = self.pairs(url)
        except Unknown:
            return {"codes": None, "systems": systems}
        codes = defaultdict(list)
        for system, code in pairs:
            codes[system].append(code)
        return {"codes": codes}

    def pairs(self, url: str) -> dict:
        """The ordered (system, code) pairs of a value set, as the keys of a dict."""
        if url not in self.valuesets:
            raise Unknown(url)
        compose = self.valuesets[url].get("compose", {})
        if not compose.get("include"):
            raise Unknown(url)
        found = {}
        for include in compose["include"]:
            found |= self.included(include)
        for exclude in compose.get("exclude", ()):
            for pair in self.included(exclude):
                found.pop(pair, None)
        return found

    def included(self, include: dict) -> dict:
        """The pairs of one include: of its system, and in every value set it names."""
        sets = [self.pairs(url.partition("|")[0]) for url in include.get("valueSet", ())]
        if "system" in include:
            sets.append(self.of_system(include))
        return {pair: None for pair in sets[0] if all(pair in other for other in sets[1:])}

    def of_system(self, include: dict) -> dict:
        system = include["system"]
        if "concept" in include:
            return {(system, c["code"]): None for c in include["concept"]}
        codesystem = self.codesystems.get(system)
        if not codesystem or codesystem["content"] != "complete":
            raise Unknown(system)
        parents = hierarchy(codesystem.get("concept", ()))
        codes = dict.fromkeys(parents)
        for condition in include.get("filter", ()):
            codes = {c: None for c in codes if satisfies(c, condition, parents)}
        return {(system, c): None for c in codes}


def hierarchy(concepts, parent=None) -> dict:
    """Each code -> its direct parents, by nesting and by the properties that v3 uses for a second parent."""
    parents = {}
    for concept in concepts:
        above = {p["valueCode"] for p in concept.get("property", ()) if p["code"] in ("subsumedBy", "parent")}
        parents.setdefault(concept["code"], set()).update(above | ({parent} if parent else set()))
        for code, more in hierarchy(concept.get("concept", ()), concept["code"]).items():
            parents.setdefault(code, set()).update(more)
    return parents


def ancestors(code: str, parents: dict) -> set:
    found, todo = set(), [code]
    while todo:
        new = parents.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def satisfies(code: str, condition: dict, parents: dict) -> bool:
    """One filter of an include; only those on the hierarchy are known. (valueset-filter-operator)"""
    property, operator, value = condition["property"], condition["op"], condition["value"]
    if property == "concept":
        below = value in ancestors(code, parents)
        if operator == "is-a":
            return below or code == value
        if operator == "descendent-of":
            return below
        if operator == "is-not-a":
            return not (below or code == value)
    raise Unknown(f"{property} {operator}")
