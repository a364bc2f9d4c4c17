"""64-bit keys: one hash of a text, the same in every process and for ever.

BLAKE2b is used (not a faster non-cryptographic hash) because a key decides what a search finds and whose record
a resource belongs to: nobody may be able to make a second text with a given key.
"""

from hashlib import blake2b


def key(*parts: str) -> int:
    """Signed 64-bit key of the parts; the unit separator keeps ("a", "bc") and ("ab", "c") apart."""
    return int.from_bytes(blake2b("\x1f".join(parts).encode(), digest_size=8).digest(), "big", signed=True)


def identity(type: str, id: str) -> int:
    """Key of a resource's logical identity "Type/id"; also names the patient a row belongs to."""
    return key(f"{type}/{id}")
