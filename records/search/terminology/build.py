"""Makes hierarchies.json.gz from the definitions of R4: `python records/search/terminology/build.py FOLDER`.

Kept: {system: {code: [codes directly below it]}} of every CodeSystem: codes are nested, or say what they are
subsumed by (HL7 v3). One without any is flat, and one that is not here is not known.
"""

import gzip
import json
import sys
from pathlib import Path

FILES = ("valuesets.json.gz", "v3-codesystems.json.gz", "v2-tables.json.gz")


def build(folder):
    """The hierarchies of all CodeSystems in the bundles of a folder."""
    found = {}
    for name in FILES:
        for entry in json.loads(gzip.decompress((Path(folder) / name).read_bytes()))["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] == "CodeSystem":
                children = {}
                _gather(resource.get("concept", ()), None, children)
                if children or resource["content"] == "complete":
                    found[resource["url"]] = {code: sorted(below) for code, below in sorted(children.items())}
    return dict(sorted(found.items()))


def _gather(concepts, parent, children):
    for concept in concepts:
        parents = {p["valueCode"] for p in concept.get("property", ()) if p["code"] == "subsumedBy"}
        for each in parents | ({parent} if parent else set()):
            children.setdefault(each, set()).add(concept["code"])
        _gather(concept.get("concept", ()), concept["code"], children)


if __name__ == "__main__":
    target = Path(__file__).with_name("hierarchies.json.gz")
    text = json.dumps(build(sys.argv[1]), separators=(",", ":"))
    target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
