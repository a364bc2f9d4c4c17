"""The general engine: fhirpathpy with what it lacks for R4, and quiet. (fhirpath.html)

Supplied: resolve, hasValue, htmlChecks, memberOf, conformsTo; `as` on several items keeps those of the type
(R4 search expressions rely on it); trace says nothing: values of a record belong in no log.
"""

import json
import threading
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path

from .references import literal
from .values import Value

STEPS = 100_000  # of one evaluation for the index; official expressions take some hundreds on a large resource
lock = threading.Lock()  # the parser and the constants of fhirpathpy are module state


class TooManySteps(RuntimeError):
    """An evaluation went beyond its budget."""


def _counted(step):
    """fhirpathpy's step, within the budget of the evaluation if it has one."""

    def counted(ctx, data, node):
        left = ctx.get("left")  # who evaluates with the package itself gives none
        if left is not None:
            left[0] -= 1
            if left[0] < 0:
                raise TooManySteps(f"the expression takes more than {STEPS} steps on this resource")
        return step(ctx, data, node)

    return counted


@cache
def _fhirpathpy():
    """The package, loaded on first need: most processes meet simple expressions only."""
    import fhirpathpy
    from fhirpathpy import engine
    from fhirpathpy.engine import nodes

    engine.do_eval = _counted(engine.do_eval)

    folder = Path(fhirpathpy.__file__).parent / "models" / "r4"
    nodes.TypeInfo.model = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    return fhirpathpy, nodes


@lru_cache(4096)
def _parsed(expression):
    package, _ = _fhirpathpy()
    with lock:
        return package.parse(expression)["children"][0]


def check(expression):
    """Raise ValueError unless the whole text is an expression; fhirpathpy's own parser repairs and guesses."""
    from antlr4 import CommonTokenStream, InputStream
    from antlr4.error.ErrorListener import ErrorListener
    from fhirpathpy.parser.generated.FHIRPathLexer import FHIRPathLexer
    from fhirpathpy.parser.generated.FHIRPathParser import FHIRPathParser

    class Strict(ErrorListener):
        def syntaxError(self, recognizer, symbol, line, column, message, e):
            raise ValueError(f"at character {column + 1}: {message}")

    lexer = FHIRPathLexer(InputStream(expression))
    tokens = CommonTokenStream(lexer)
    parser = FHIRPathParser(tokens)
    for each in (lexer, parser):
        each.removeErrorListeners()
        each.addErrorListener(Strict())
    with lock:
        parser.expression()
    if (rest := tokens.LT(1)).type != -1:
        raise ValueError(f"at character {rest.column + 1}: {rest.text!r} is not expected here")


def compile(expression, type=None):
    """Function resource -> [Value]; the expression is parsed now, so a bad one raises now."""
    _parsed(expression)

    def run(resource):
        return evaluate(expression, resource, steps=STEPS)

    run.roots = None
    return run


def evaluate(expression, resource, variables=None, base=None, steps=None):
    """[Value] of any expression on a resource; `base` is the type when the item is not a whole resource."""
    _, nodes = _fhirpathpy()
    from fhirpathpy.engine import do_eval
    from fhirpathpy.engine.invocations.constants import constants

    tree = _parsed(expression)
    item = nodes.ResourceNode.create_node(resource, base) if base else resource
    ctx = {
        "dataRoot": item if isinstance(item, list) else [item],
        "vars": {
            "context": resource,
            "resource": resource,
            "rootResource": resource,
            "ucum": "http://unitsofmeasure.org",
            "sct": "http://snomed.info/sct",
            "loinc": "http://loinc.org",
        }
        | (variables or {}),
        "model": nodes.TypeInfo.model,
        "userInvocationTable": _supplied(),
        "left": None if steps is None else [steps],
    }
    constants.reset()
    found = do_eval(ctx, ctx["dataRoot"], tree)
    return [value for node in found if (value := _value(node, nodes)) is not None]


def _value(node, nodes):
    data = node.data if isinstance(node, nodes.ResourceNode) else node
    if data is None:
        return None
    if isinstance(node, nodes.ResourceNode) and node.path:
        if isinstance(data, dict) and node.path[:1].islower() and "." not in node.path:
            return None  # the extensions of a primitive, beside its value
        type = node.path.partition("#")[0]
        return Value(data, type[7].lower() + type[8:] if type.startswith("System.") else type)
    return Value(data, _type_of(data))


def _type_of(data):
    match data:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case Decimal() | float():
            return "decimal"
        case str():
            return "string"
        case dict() if "resourceType" in data:
            return data["resourceType"]
        case dict():
            return "Element"
    return {"FP_DateTime": "dateTime", "FP_Time": "time", "FP_Quantity": "Quantity"}.get(type(data).__name__, "Element")


@cache
def _supplied():
    """Functions by name as fhirpathpy's own table has them: (context, items, ...)."""
    _, nodes = _fhirpathpy()
    from fhirpathpy.engine.util import get_data

    def of_type(ctx, items, type):
        return [item for item in items if nodes.TypeInfo.from_value(item).is_(type)]

    def union(ctx, left, right):
        unique = {json.dumps(get_data(item), sort_keys=True, default=str): item for item in reversed(left + right)}
        return list(reversed(unique.values()))  # fhirpathpy's own loses the types

    def resolve(ctx, items):
        return [node for item in items if (node := _resolved(ctx, get_data(item), nodes)) is not None]

    def has_value(ctx, items):
        values = [v for item in items if (v := _value(item, nodes)) is not None]
        return len(values) == 1 and not isinstance(values[0].value, dict)

    def html_checks(ctx, items):
        from .narrative import is_safe

        return all(is_safe(get_data(item)) for item in items)

    def unknown(ctx, items, url):
        return []  # "if the value set cannot be resolved, the result is empty"

    def conforms_to(ctx, items, url):
        base = "http://hl7.org/fhir/StructureDefinition/"
        if len(items) == 1 and url.startswith(base) and isinstance(data := get_data(items[0]), dict):
            return nodes.TypeInfo.is_type(data.get("resourceType"), url.removeprefix(base))
        return []

    def quiet(ctx, items, label=""):
        return items

    return {
        "|": {"fn": union, "arity": {2: ["Any", "Any"]}},
        "as": {"fn": of_type, "arity": {1: ["TypeSpecifier"]}},
        "asOp": {"fn": of_type, "arity": {2: ["Any", "TypeSpecifier"]}},
        "resolve": {"fn": resolve},
        "hasValue": {"fn": has_value},
        "htmlChecks": {"fn": html_checks},
        "memberOf": {"fn": unknown, "arity": {1: ["String"]}},
        "conformsTo": {"fn": conforms_to, "arity": {1: ["String"]}},
        "trace": {"fn": quiet, "arity": {0: [], 1: ["String"]}},
    }


def _resolved(ctx, reference, nodes):
    """What a Reference or uri points at: the contained resource or entry, else a stub that knows type and id."""
    text = reference.get("reference") if isinstance(reference, dict) else reference
    root = ctx["vars"].get("rootResource")
    if isinstance(text, str) and isinstance(root, dict):
        if text.startswith("#"):
            found = next((c for c in root.get("contained", ()) if c.get("id") == text[1:]), None)
            return nodes.ResourceNode.create_node(found, found["resourceType"]) if found else None
        for entry in root.get("entry", ()) if root.get("resourceType") == "Bundle" else ():
            if entry.get("fullUrl") == text and "resource" in entry:
                return nodes.ResourceNode.create_node(entry["resource"])
        if parts := literal(text):
            return nodes.ResourceNode.create_node({"resourceType": parts.type, "id": parts.id}, parts.type)
    if isinstance(reference, dict) and isinstance(reference.get("type"), str):
        return nodes.ResourceNode.create_node({"resourceType": reference["type"]}, reference["type"])
    return None
