"""_summary and _elements: a resource with part of its elements, tagged SUBSETTED. (search.html#summary, #elements)"""

from ..definitions.structures import structure

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
ALWAYS = ("resourceType", "id", "meta")
SUMMARIES = ("true", "text", "data", "count", "false")  # count and false cut nothing from a resource


def subset(resource, summary=None, elements=None):
    """The resource cut to `summary` (true | text | data) or to `elements` (names); whole when neither cuts."""
    type = resource["resourceType"]
    keep = structure(type).elements
    required = {e.key for e in keep.values() if e.min}
    if elements:
        named = {e.key for e in keep.values() if e.name in elements or e.key in elements}
        cut = only(resource, named | required)
    elif summary == "true":
        cut = summarised(resource, type)
    elif summary == "text":
        cut = only(resource, {"text"} | required)
    elif summary == "data":
        cut = {k: v for k, v in resource.items() if k != "text"}
    else:
        return resource
    meta = dict(cut.get("meta") or {})
    meta["tag"] = [*(meta.get("tag") or ()), SUBSETTED]
    return (
        {"resourceType": type}
        | ({"id": cut["id"]} if "id" in cut else {})
        | {"meta": meta}
        | {k: v for k, v in cut.items() if k not in ALWAYS}
    )


def only(resource, names):
    return {k: v for k, v in resource.items() if k in ALWAYS or k.removeprefix("_") in names or k == "implicitRules"}


def summarised(node, name):
    """The elements that the definition marks as summary, at every depth."""
    found = structure(name)
    if found is None:
        return node
    kept = {}
    for key, value in node.items():
        element = found.elements.get(key.removeprefix("_"))
        if key == "resourceType" or (key == "id" and found.kind == "resource"):
            kept[key] = value
        elif element is None or not (element.summary or element.min):
            continue
        elif key.startswith("_"):
            kept[key] = value
        else:
            kept[key] = below(value, element.type)
    return kept


def below(value, type):
    child = structure(type)
    if child is None or child.kind != "backbone":
        return value  # data types are summarised whole
    if isinstance(value, list):
        return [summarised(v, type) if isinstance(v, dict) else v for v in value]
    return summarised(value, type) if isinstance(value, dict) else value
