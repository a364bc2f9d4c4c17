"""Merkle trees: roots, inclusion and consistency proofs. (RFC 6962 2.1, RFC 9162 2.1.3 and 2.1.4)

A leaf is given as its hash. `complete(height, index)` stands for a tree that is stored somewhere: the root of the
complete subtree of 2**height leaves that begins at leaf index * 2**height.
"""

from hashlib import sha256

EMPTY = sha256(b"").digest()


def node(left, right):
    return sha256(b"\1" + left + right).digest()


class Frontier:
    """A growing tree, known by the roots of its complete subtrees only, largest first."""

    __slots__ = ("peaks", "size")

    def __init__(self, size=0, peaks=()):
        if len(peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} complete subtrees, not {len(peaks)}")
        self.size, self.peaks = size, list(peaks)

    def append(self, leaf):
        """Add a leaf; yields (height, index, root) of each subtree above leaves that it completes."""
        height, rest, found, completed = 0, self.size, leaf, []
        while rest & 1:
            found = sha256(b"\1" + self.peaks.pop() + found).digest()
            height, rest = height + 1, rest >> 1
            completed.append((height, rest, found))
        self.peaks.append(found)
        self.size += 1
        return completed

    def root(self):
        if not self.peaks:
            return EMPTY
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node(peak, found)
        return found


def split(size):
    """The largest power of two below size."""
    return 1 << (size - 1).bit_length() - 1


def root(complete, first, size):
    """The root over `size` leaves from `first` on, where `first` is a multiple of a power of two not below size."""
    if size & (size - 1) == 0:
        height = size.bit_length() - 1
        return complete(height, first >> height)
    half = split(size)
    return node(root(complete, first, half), root(complete, first + half, size - half))


def inclusion(complete, index, size):
    """The path that proves leaf `index` to be in the tree of `size` leaves, from the leaf up."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    first, path = 0, []
    while size > 1:
        half = split(size)
        if index - first < half:
            path.append(root(complete, first + half, size - half))
            size = half
        else:
            path.append(root(complete, first, half))
            first, size = first + half, size - half
    return path[::-1]


def consistency(complete, old, new):
    """The path that proves the tree of `old` leaves to be the beginning of that of `new`."""
    if not 0 < old <= new:
        raise ValueError(f"no proof from {old} to {new} leaves")
    first, size, whole, path = 0, new, True, []
    while old != size:
        half = split(size)
        if old <= half:
            path.append(root(complete, first + half, size - half))
            size = half
        else:
            path.append(root(complete, first, half))
            first, old, size, whole = first + half, old - half, size - half, False
    if not whole:
        path.append(root(complete, first, size))
    return path[::-1]


def is_included(leaf, index, size, path, expected):
    """Does the path lead from this leaf to that root? (RFC 9162 2.1.3.2)"""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node(step, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, step)
        at, last = at >> 1, last >> 1
    return last == 0 and found == expected


def is_consistent(old, old_root, new, new_root, path):
    """Is the tree with the old root the beginning of that with the new one? (RFC 9162 2.1.4.2)"""
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    steps = list(path)
    if old & (old - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node(step, before), node(step, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node(after, step)
        at, last = at >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root
