"""A synthetic French population as FHIR R4 transactions: nobody in it exists, everything in it hangs together.

Reading order: generator.py (people()), person.py (who), places.py and names.py (data), nir.py (the identity number),
illnesses.py (data: what people have and take), chart.py (the Bundle being written), then one room per part of the
record: identity.py, carers.py, problems.py, visits.py, laboratory.py, imaging.py, vaccines.py.
"""

from .generator import people  # noqa: F401
