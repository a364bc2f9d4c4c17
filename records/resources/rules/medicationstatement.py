"""MedicationStatement: doses that are amounts, periods that end after they begin."""

from decimal import Decimal

from ...errors import Issue
from . import before_write


@before_write("MedicationStatement")
def doses(resource):
    """A dose is not negative."""
    for n, dosage in enumerate(resource.get("dosage") or ()):
        for m, dose in enumerate(dosage.get("doseAndRate") or ()):
            value = (dose.get("doseQuantity") or {}).get("value")
            if isinstance(value, int | Decimal) and not isinstance(value, bool) and value < 0:
                yield Issue(
                    "error", "business-rule", f"A dose of {value} is not an amount.",
                    f"MedicationStatement.dosage[{n}].doseAndRate[{m}].doseQuantity.value",
                )  # fmt: skip
