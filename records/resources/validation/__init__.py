"""Is a resource valid? `check` on write, `validate` for $validate. (validation.html)

findings      what a checker found, and how it gathers its path
primitives    form and range of the primitive types
references    targets of an allowed type
bindings      required bindings
narrative     XHTML
rules         the invariants of R4 as plain functions; with conformance_rules and comparison
invariants    which structure has which of them
structure     one function for each structure: all of the above in one walk
profiles      a resource against a profile: slices, fixed values, patterns
models        the second opinion of fhir.resources
write         `check`
unchecked     what is left open
conformance   `validate`
"""

from .conformance import validate
from .write import check

__all__ = ["check", "validate"]
