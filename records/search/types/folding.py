"""Text without what people leave out when they search: case, accents, hyphens, apostrophes. (search.html#string)"""

import unicodedata
from functools import lru_cache

# What decomposition leaves alone; ß and ſ fall to casefold.
LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
PARTICLES = frozenset("d de des du l la le les von van der den zu di da del della dos el al mc".split())  # noqa: SIM905


@lru_cache(8192)
def fold(text):
    """Letters and digits, small, without marks, one space between words: "d'Arc-Lefèvre" is "d arc lefevre"."""
    if text.isascii():
        text = text.lower()
    else:
        text = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(c for c in text if not unicodedata.combining(c)).translate(LETTERS)
    if text.isalnum():
        return text
    return " ".join("".join(c if c.isalnum() else " " for c in text).split()) or text.strip()


def without_particles(folded):
    """The name by which people sort: "de la tour" is also "la tour" and "tour"."""
    words = folded.split()
    while len(words) > 1 and words[0] in PARTICLES:
        words = words[1:]
        yield " ".join(words)
