"""FHIRPath: compile an expression once, evaluate it on many resources. (fhirpath.html)

Reading order: values (what comes out), syntax (text to tree), plain (tree to functions), engine (the general one),
references, times, narrative.
"""

from functools import lru_cache

from . import engine, plain
from .engine import check, evaluate
from .plain import InvalidExpression
from .syntax import NotSimple
from .values import Value

__all__ = ["InvalidExpression", "Value", "check", "compile", "evaluate"]


@lru_cache(8192)
def compile(expression, type):
    """Function (resource) -> [Value] of an expression on a type.

    Its attribute `roots` is the set of top-level JSON keys that it can start from, or None when any may matter.
    """
    try:
        return plain.compile(expression, type)
    except NotSimple:
        return engine.compile(expression, type)
