"""FHIR R4 (4.0.1) as data, shipped compact and read lazily.

    structures     resource types, data types, their elements
    valuesets      codes of a value set; the system that a code element implies
    parameters     the official SearchParameters
    compartments   which search parameters put a resource into a compartment
    profiles       the official profiles beyond the base (vital signs and so on)
    build          derives r4/*.json.gz from HL7's definition bundles

Each data file is lines of JSON, one definition a line; a line is parsed when it is first asked for.
"""
