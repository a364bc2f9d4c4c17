"""Everything that can go wrong, as one tree: HTTP status, issue code, sentence. (http.html, valueset-issue-type)

    FHIRError
      400 BadRequest          InvalidJSON InvalidXML InvalidValue UnknownParameter UnknownQuery ...
      401 LoginRequired       403 Forbidden          404 NotFound UnknownType UnknownOperation
      405 MethodNotAllowed    406 NotAcceptable      409 Conflict       410 Gone
      412 PreconditionFailed MultipleMatches         413 TooLarge       415 UnsupportedMediaType
      422 Invalid             429 TooManyRequests    500 Unexpected     503 Busy

An error is raised once, with the values its sentence names; `outcome` turns it into an OperationOutcome for the
endpoint and for a Bundle entry alike. Several faults are one error with many issues.
"""

from dataclasses import dataclass

MOST_ISSUES = 200  # of one OperationOutcome


@dataclass(frozen=True, slots=True)
class Issue:
    """One OperationOutcome.issue. (operationoutcome.html)"""

    severity: str  # fatal | error | warning | information
    code: str  # IssueType
    diagnostics: str
    expression: str | None = None  # FHIRPath of the element: "Patient.name[0].family"


class FHIRError(Exception):
    """Root; `issues` when the caller has many, else one issue from the sentence and the arguments."""

    status = 500
    code = "exception"
    sentence = "{0}"

    recorded = ()  # promises of audit records that must be kept before it is told
    touched = ()  # what it tells of, for the audit (interactions.interaction.Touched)

    def __init__(self, *args, expression=None, issues=None, headers=None):
        super().__init__(*args)
        self.expression = expression
        self.headers = headers or {}
        self._issues = tuple(issues) if issues else None

    def about(self, *touched):
        """The error, which tells of these: that something was deleted, has another version, is there twice."""
        self.touched = touched
        return self

    @property
    def issues(self):
        if self._issues:
            return self._issues
        return (Issue("error", self.code, self.sentence.format(*self.args), self.expression),)

    def __str__(self):
        return "; ".join(i.diagnostics for i in self.issues)


class BadRequest(FHIRError):
    status, code, sentence = 400, "invalid", "{0}"


class InvalidJSON(BadRequest):
    code, sentence = "structure", "The body is not valid JSON: {0}"


class InvalidXML(BadRequest):
    code, sentence = "structure", "The body is not valid FHIR XML: {0}"


class InvalidStructure(BadRequest):
    code, sentence = "structure", "{0}"


class InvalidValue(BadRequest):
    code, sentence = "value", "{0}: {1!r} is not valid; {2}"


class InvalidId(BadRequest):
    code, sentence = "value", "{0!r} is not a valid id; expected 1 to 64 of A-Z a-z 0-9 - ."


class UnknownParameter(BadRequest):
    code, sentence = "not-supported", "{0} has no search parameter {1!r}; {2}"


class UnsupportedModifier(BadRequest):
    code, sentence = "not-supported", "The modifier {1!r} does not apply to the search parameter {0!r}; {2}"


class UnknownQuery(BadRequest):
    code, sentence = "not-supported", "There is no named query {0!r} here; known: {1}"


class TooCostly(BadRequest):
    code, sentence = "too-costly", "{0}"


class LoginRequired(FHIRError):
    status, code, sentence = 401, "login", "A valid access token is required, as Authorization: Bearer [token]."


class Forbidden(FHIRError):
    status, code, sentence = 403, "forbidden", "{0}"


class NotFound(FHIRError):
    status, code, sentence = 404, "not-found", "{0} is not known."


class UnknownType(FHIRError):
    status, code, sentence = 404, "not-supported", "{0!r} is not a resource type of FHIR R4 served here{1}"


class UnknownOperation(FHIRError):
    status, code, sentence = 404, "not-supported", "There is no operation {0!r} here; known: {1}"


class UnknownURL(FHIRError):
    status, code, sentence = 404, "not-found", "No FHIR interaction has this URL: {0}"


class MethodNotAllowed(FHIRError):
    status, code, sentence = 405, "not-supported", "{0} is not allowed here; allowed: {1}"


class NotAcceptable(FHIRError):
    status, code, sentence = (
        406,
        "not-supported",
        "Cannot answer in {0!r}; use application/fhir+json or application/fhir+xml.",
    )


class Conflict(FHIRError):
    status, code, sentence = 409, "conflict", "{0}"


class Gone(FHIRError):
    status, code, sentence = 410, "deleted", "{0} was deleted."


class PreconditionFailed(FHIRError):
    status, code, sentence = 412, "conflict", "{0}"


class MultipleMatches(PreconditionFailed):
    code, sentence = "multiple-matches", "{0} matches more than one resource; give criteria that select one."


class TooLarge(FHIRError):
    status, code, sentence = 413, "too-long", "{0}"


class UnsupportedMediaType(FHIRError):
    status, code, sentence = 415, "not-supported", "{0}"


class Invalid(FHIRError):
    """The resource breaks a rule: one issue for each."""

    status, code, sentence = 422, "processing", "{0}"


class TooManyRequests(FHIRError):
    status, code, sentence = 429, "throttled", "Too many requests; retry after {0} s."

    def __init__(self, seconds, **named):
        super().__init__(seconds, headers={"Retry-After": str(seconds)}, **named)


class Busy(FHIRError):
    """The server cannot do it now; the same request may succeed later."""

    status, code, sentence = 503, "transient", "{0}"

    def __init__(self, sentence, retry_after=1, **named):
        super().__init__(sentence, headers={"Retry-After": str(retry_after)}, **named)


class Unexpected(FHIRError):
    """A fault of ours: says the log id and nothing else."""

    sentence = "The server met an unexpected error; it is logged under {0}."


# What a client sent and a sentence names, in characters that every format can carry. (xml 2.2)
_HIDDEN = (*range(9), 11, 12, *range(14, 32), *range(127, 160), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF)
VISIBLE = dict.fromkeys(_HIDDEN, "\ufffd")


def operation_outcome(issues):
    """OperationOutcome as a resource tree; of very many issues the first: a refusal is no flood."""
    issues = tuple(issues)
    if len(issues) > MOST_ISSUES:
        more = Issue("information", "incomplete", f"{len(issues) - MOST_ISSUES} more of them are not told.")
        issues = (*issues[:MOST_ISSUES], more)
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": i.severity, "code": i.code, "diagnostics": i.diagnostics.translate(VISIBLE)}
            | ({"expression": [i.expression.translate(VISIBLE)]} if i.expression else {})
            for i in issues
        ],
    }
