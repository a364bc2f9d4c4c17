"""Laws of the Merkle tree, against the definition of RFC 6962 2.1 written down slowly."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from accessctl.audit import merkle

SIZES = st.integers(1, 70)


def leaves(size):
    return [sha256(b"\0%d" % n).digest() for n in range(size)]


def slow(found):
    """MTH of RFC 6962, over leaf hashes."""
    if not found:
        return sha256(b"").digest()
    if len(found) == 1:
        return found[0]
    half = max(2**n for n in range(10) if 2**n < len(found))
    return sha256(b"\1" + slow(found[:half]) + slow(found[half:])).digest()


def complete(found):
    return lambda height, index: slow(found[index << height : index + 1 << height])


@given(st.integers(0, 70))
def test_a_growing_tree_has_the_root_of_the_definition(size):
    tree = merkle.Frontier()
    for leaf in leaves(size):
        for height, index, root in tree.append(leaf):
            assert root == complete(leaves(size))(height, index)
    assert tree.root() == slow(leaves(size))
    assert merkle.Frontier(size, tree.peaks).root() == tree.root()


@given(SIZES, st.data())
def test_a_leaf_is_proved_at_its_place_and_nowhere_else(size, data):
    found, index = leaves(size), data.draw(st.integers(0, size - 1))
    path = merkle.inclusion(complete(found), index, size)
    assert merkle.is_included(found[index], index, size, path, slow(found))
    other = data.draw(st.integers(0, size - 1).filter(lambda n: size == 1 or n != index))
    if other != index:
        assert not merkle.is_included(found[other], index, size, path, slow(found))
        assert not merkle.is_included(found[index], other, size, path, slow(found))
    assert not merkle.is_included(found[index], index, size, [*path, bytes(32)], slow(found))
    if path:
        assert not merkle.is_included(found[index], index, size, path[:-1], slow(found))


@given(SIZES, SIZES, st.integers(0, 69))
def test_only_a_beginning_is_consistent(one, other, changed):
    old, new = sorted((one, other))
    found = leaves(new)
    path = merkle.consistency(complete(found), old, new)
    assert merkle.is_consistent(old, slow(found[:old]), new, slow(found), path)
    if changed < old:
        forged = [*found[:changed], bytes(32), *found[changed + 1 :]]
        assert not merkle.is_consistent(old, slow(forged[:old]), new, slow(found), path)
        fork = merkle.consistency(complete(forged), old, new)
        assert not merkle.is_consistent(old, slow(found[:old]), new, slow(forged), fork)
