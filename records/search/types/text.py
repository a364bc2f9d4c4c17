"""_text and _content: words of the narrative, or of the whole resource, in French and English. (search.html#content)

Both sides are folded first, so that accents do not matter; each word is stemmed in both languages.
"""

import re

from django.db import models

from records.sql import SQL, any_of

from .base import IndexRow, Match, SearchType, invalid, search_type, unescape
from .folding import fold

LONGEST = 200_000  # characters of one resource
DEEPEST = 50  # parentheses and NOTs inside each other
WORDS = "(to_tsvector('french'::regconfig, i.folded) || to_tsvector('english'::regconfig, i.folded))"
QUERY = "(phraseto_tsquery('french'::regconfig, %s) || phraseto_tsquery('english'::regconfig, %s))"
TAG = re.compile(r"<[^>]*>")
ENTITY = re.compile(r"&[#\w]+;")
# Keys whose texts are for machines.
UNREAD = frozenset(
    "resourceType id reference url system versionId lastUpdated profile source contentType data hash fullUrl".split()  # noqa: SIM905
)
TOKENS = re.compile(r'\(|\)|"[^"]*"|[^\s()"]+')


class FullText(IndexRow):
    pk = models.CompositePrimaryKey("resource", "param", "n")
    param = models.BigIntegerField()
    n = models.SmallIntegerField()
    folded = models.TextField(db_collation="C")

    class Meta:
        db_table = "fulltext"  # its index is over WORDS: see the migration


def plain(div):
    """The text of an XHTML narrative."""
    return ENTITY.sub(" ", TAG.sub(" ", div))


def texts(node, key=""):
    """All texts in a tree that people read."""
    if isinstance(node, str):
        yield plain(node) if key == "div" else node
    elif isinstance(node, dict):
        for name, value in node.items():
            if name not in UNREAD:
                yield from texts(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value, key)


@search_type
class TextType(SearchType):
    kind = "text"
    table = "fulltext"

    # write side

    def plan(self, param):
        """(top-level elements, walker): these parameters have no expression."""
        number = param.key

        def narrative(resource, rows):
            if folded := fold(plain(resource["text"].get("div", "")))[:LONGEST]:
                rows.fulltext.add((number, folded))

        def content(resource, rows):
            if folded := fold(" ; ".join(dict.fromkeys(texts(resource))))[:LONGEST]:
                rows.fulltext.add((number, folded))

        return (frozenset(("text",)), narrative) if param.code == "_text" else (None, content)

    # read side

    def match(self, param, given):
        wanted = any_of(self._found(param, text) for text in given)
        return Match("fulltext", SQL("i.param = %s", (param.key,)) & wanted)

    def _found(self, param, text):
        tokens = TOKENS.findall(unescape(text))
        found, rest = _either(tokens) if tokens else (None, [])
        if found is None or rest:
            expected = f'words, "phrases", AND, OR, NOT and parentheses, at most {DEEPEST} inside each other'
            raise invalid(param, text, f"expected {expected}")
        return SQL(f"{WORDS} @@ ({found.text})", found.params)


# words OR words; AND, said or not, binds closer; each takes tokens and gives (SQL of a tsquery or None, the rest)


def _either(tokens, depth=0):
    found, rest = _both(tokens, depth)
    while found and rest and rest[0].upper() == "OR":
        other, rest = _both(rest[1:], depth)
        found = other and SQL(f"({found.text} || {other.text})", found.params + other.params)
    return found, rest


def _both(tokens, depth):
    found, rest = _one(tokens, depth)
    while found and rest and rest[0].upper() != "OR" and rest[0] != ")":
        other, rest = _one(rest[1:] if rest[0].upper() == "AND" else rest, depth)
        found = other and SQL(f"({found.text} && {other.text})", found.params + other.params)
    return found, rest


def _one(tokens, depth):
    if not tokens or tokens[0] == ")" or tokens[0].upper() in ("AND", "OR") or depth > DEEPEST:
        return None, tokens
    first, *rest = tokens
    if first.upper() == "NOT":
        found, rest = _one(rest, depth + 1)
        return found and SQL(f"(!! {found.text})", found.params), rest
    if first == "(":
        found, rest = _either(rest, depth + 1)
        return (found, rest[1:]) if rest and rest[0] == ")" else (None, rest)
    word = fold(first.strip('"'))
    return SQL(QUERY, (word, word)), rest
