"""Search: parameters to a tree, the tree within an Access to SQL, rows to a page. (search.html)

Reading order: query (the tree), parse, parameters (the registry), types/ (one file each), ranges (prefixes),
compile (SQL), results (the page). Nothing here imports the indexer.
"""

from .parse import parse, parse_several
from .query import Query, types
from .results import Result, immediate, is_one_page, run, search, select
from .row import Row

__all__ = [
    "Query",
    "Result",
    "Row",
    "immediate",
    "is_one_page",
    "parse",
    "parse_several",
    "run",
    "search",
    "select",
    "types",
]
