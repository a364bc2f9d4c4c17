"""Derive r4/*.json.gz from HL7's definition bundles: python -m records.definitions.build SPEC_FOLDER

Kept is what the server reads: elements with cardinality, types, targets, bindings and invariants; value sets expanded
as far as the code systems of the specification allow. Narratives, mappings and long descriptions are left out.
"""

import gzip
import json
import sys
from pathlib import Path

from .expand import Terminology
from .lines import FOLDER

CORE = "http://hl7.org/fhir/StructureDefinition/"
FHIRPATH = "http://hl7.org/fhirpath/System."
FHIR_TYPE = CORE + "structuredefinition-fhir-type"
REGEX = CORE + "regex"
BEST_PRACTICE = CORE + "elementdefinition-bestpractice"
COMPARTMENTS = ("patient", "encounter", "practitioner", "relatedperson", "device")


def resources(spec: Path, *files: str):
    """The resources of the bundles, in order."""
    for file in files:
        with gzip.open(spec / f"{file}.json.gz") as stream:
            yield from (entry["resource"] for entry in json.load(stream)["entry"])


def write(folder: Path, file: str, definitions: dict) -> None:
    """One line a definition; no time stamp, so that the same input gives the same bytes."""
    text = "".join(f"{name}\t{json.dumps(body, separators=(',', ':'))}\n" for name, body in definitions.items())
    folder.mkdir(exist_ok=True)
    (folder / f"{file}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def last(url: str) -> str:
    """The name a canonical of the core ends with."""
    return url.rpartition("/")[2]


def element_type(base_path: str, coding: dict) -> dict:
    """One TypeRefComponent: code, and where given profile and targets."""
    code = coding["code"]
    if code.startswith(FHIRPATH):
        # The id of a resource is an id, though the extension of 4.0.1 says string.
        given = [x["valueUrl"] for x in coding.get("extension", ()) if x["url"] == FHIR_TYPE]
        code = "id" if base_path == "Resource.id" else (given or ["string"])[0]
    compact = {"code": code}
    if "profile" in coding:
        compact["profile"] = [p.removeprefix(CORE) for p in coding["profile"]]
    if "targetProfile" in coding:
        compact["targets"] = [last(t) for t in coding["targetProfile"]]
    return compact


def constraint(given: dict) -> dict:
    """One invariant without its XPath."""
    best = any(x["url"] == BEST_PRACTICE and x.get("valueBoolean") for x in given.get("extension", ()))
    return {
        "key": given["key"],
        "severity": "best-practice" if best else given["severity"],
        "human": given["human"],
        "expression": given.get("expression"),
    }


def element(structure: dict, given: dict) -> dict:
    """One ElementDefinition of a snapshot; what has its default is left out."""
    path = given["path"]
    compact = {"path": path, "min": given.get("min", 0), "max": given.get("max", "1")}
    if given.get("type"):
        compact["types"] = [element_type(given["base"]["path"], t) for t in given["type"]]
    if "contentReference" in given:
        compact["content"] = given["contentReference"].removeprefix("#")
    binding = given.get("binding")
    if binding and binding.get("valueSet"):
        compact["binding"] = [binding["strength"], binding["valueSet"].partition("|")[0]]
    if given.get("isSummary"):
        compact["summary"] = True
    if given.get("isModifier"):
        compact["modifier"] = True
    if "xmlAttr" in given.get("representation", ()):
        compact["attribute"] = True
    # The invariants of a data type or a base stand there, once.
    own = [
        constraint(c)
        for c in given.get("constraint", ())
        if c.get("source", structure["url"]) == structure["url"]
        and not ("." in path and c["key"] in ("ele-1", "ext-1"))
    ]
    if own:
        compact["constraints"] = own
    for key in ("minValueInteger", "maxValueInteger", "maxLength"):
        if key in given:
            compact[key] = given[key]
    return compact


def structure(given: dict) -> dict:
    """One base StructureDefinition: resource type, data type or primitive."""
    elements = given["snapshot"]["element"]
    primitive = given["kind"] == "primitive-type"
    compact = {
        "name": given["name"],
        "url": given["url"],
        "kind": given["kind"],
        "abstract": given["abstract"],
        "base": last(given["baseDefinition"]) if "baseDefinition" in given else None,
        "elements": [element(given, e) for e in elements if not (primitive and e["path"].endswith(".value"))],
    }
    if primitive:
        value = next(e for e in elements if e["path"].endswith(".value"))
        regex = [x["valueString"] for t in value["type"] for x in t.get("extension", ()) if x["url"] == REGEX]
        compact["regex"] = regex[0] if regex else None
    return compact


PROFILE_KEYS = ("id", "path", "sliceName", "slicing", "min", "max")
VALUE_KEYS = ("fixed", "pattern", "minValue", "maxValue", "maxLength")


def profile(given: dict) -> dict:
    """One constraint on a base type: its snapshot without prose."""
    elements = []
    for e in given["snapshot"]["element"]:
        kept = {k: e[k] for k in PROFILE_KEYS if k in e}
        kept |= {k: v for k, v in e.items() if k.startswith(VALUE_KEYS)}
        kept["types"] = [element_type(e["base"]["path"], t) for t in e.get("type", ())]
        if e.get("binding", {}).get("valueSet"):
            kept["binding"] = [e["binding"]["strength"], e["binding"]["valueSet"].partition("|")[0]]
        if "constraint" in e:
            kept["constraints"] = [constraint(c) for c in e["constraint"]]
        elements.append(kept)
    return {k: given[k] for k in ("url", "name", "title", "type", "baseDefinition") if k in given} | {
        "elements": elements
    }


def build(spec: Path, folder: Path = FOLDER) -> None:
    base = [
        r
        for r in resources(spec, "profiles-types", "profiles-resources")
        if r["resourceType"] == "StructureDefinition" and r["kind"] != "logical"
    ]
    write(folder, "structures", {r["name"]: structure(r) for r in base})
    profiles = [r for r in resources(spec, "profiles-others") if r["resourceType"] == "StructureDefinition"]
    write(folder, "profiles", {r["url"]: profile(r) for r in profiles})
    unwanted = {"text", "extension", "contact", "xpath", "xpathUsage", "resourceType"}
    write(
        folder,
        "search-parameters",
        {r["url"]: {k: v for k, v in r.items() if k not in unwanted} for r in resources(spec, "search-parameters")},
    )
    compartments = {}
    for code in COMPARTMENTS:
        given = json.loads((spec / f"compartmentdefinition-{code}.json").read_text())
        compartments[given["code"]] = {r["code"]: r["param"] for r in given["resource"] if r.get("param")}
    write(folder, "compartments", compartments)
    terminology = Terminology(resources(spec, "valuesets", "v3-codesystems", "v2-tables"))
    bound = {
        e["binding"]["valueSet"].partition("|")[0]
        for r in base + profiles
        for e in r["snapshot"]["element"]
        if e.get("binding", {}).get("strength") == "required" and e["binding"].get("valueSet")
    }
    expansions = {url: terminology.expand(url) for url in terminology.valuesets}
    write(folder, "valuesets-required", {url: e for url, e in expansions.items() if url in bound})
    write(folder, "valuesets-other", {url: e for url, e in expansions.items() if url not in bound})


if __name__ == "__main__":
    build(Path(sys.argv[1]))
