"""How a name sounds in French, near enough: "Dupont", "Dupond" and "Dupon" are one. (patient.html#search: phonetic)"""

import re
from functools import lru_cache

# In this order; a digit stands for a sound that takes several letters.
SOUNDS = [
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"[^a-z]", ""),
        (r"^mac|^mc", "mak"),
        (r"ph", "f"),
        (r"sch|sh|ch(?![lr])", "5"),
        (r"th", "t"),
        (r"(?<!^)h|^h", ""),
        (r"gu(?=[eiy])", "6"),
        (r"gn", "n"),
        (r"g(?=[eiy])", "j"),
        (r"6|g", "k"),
        (r"c(?=[eiy])", "s"),
        (r"qu|q|ck|c", "k"),
        (r"x", "ks"),
        (r"w", "v"),
        (r"eau|aul(?=[td]s?$)|au", "o"),
        (r"ou", "2"),
        (r"(?:ai|ei|i|y)[nm](?![aeiouymn])", "1"),
        (r"[ea][nm](?![aeiouymn])", "3"),
        (r"o[nm](?![aeiouymn])", "4"),
        (r"u[nm](?![aeiouymn])", "1"),
        (r"ill", "i"),
        (r"ai|ei|ay|ey|oe|eu|e[rzt]$|ets?$", "e"),
        (r"y", "i"),
        (r"(?<=[aeiou])s(?=[aeiou])|z", "s"),
        (r"[bp]", "b"),
        (r"[dt]", "d"),
        (r"(.)\1+", r"\1"),
        (r"(?<=.)[bdskxz]+$", ""),
        (r"(?<=..)e$", ""),
        (r"(?<=.)[bdxz]+$", ""),
    )
]


@lru_cache(8192)
def sound(folded):
    """The sounds of folded words, word by word; a word without any letter stays as it is."""
    return " ".join(_word(word) for word in folded.split())


def _word(word):
    heard = word
    for pattern, by in SOUNDS:
        heard = pattern.sub(by, heard)
    return heard or word
