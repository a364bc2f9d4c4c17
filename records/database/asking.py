"""Who asks, for the database: settings of a transaction, by which its policies show rows.

`asked_by(who)` names somebody for what this thread runs inside; nobody is named before, and who names nobody sees no
row of `resource`, `version`, `compartment` or `audit`. `as_system()` is for what keeps, indexes and judges rows:
tests/attacks/test_wall.py knows who says it, and why. The settings travel with the statement they are for.
(docs/explanation/second-wall.md)
"""

import threading
from contextlib import contextmanager

NAMES = ("kind", "person", "author", "patient", "practitioner", "bound", "policy")
OPEN = ("system", "client")  # kinds that the policies show everything
SEES_ALL = "current_setting('access.kind', TRUE) IN ('system', 'client')"  # as the policies ask it
TELL = "SELECT " + ", ".join(f"set_config('access.{name}', %s, TRUE)" for name in NAMES)


def statement(kind="", **named):
    """What tells the database: TRUE in it says that it is forgotten with the transaction."""
    given = {"kind": kind, **named}
    return TELL, tuple(str(given.get(name, "")) for name in NAMES), True


def sees_all(who):
    """Do the policies show every row to who is named so?"""
    return who[1][0] in OPEN


NOBODY = statement()
ANYBODY = None  # of a statement that no policy is about: the database need not be told who asks
SYSTEM = statement("system")


class Here(threading.local):
    who = NOBODY


_here = Here()


def who():
    """The statement that names who asks in this thread."""
    return _here.who


@contextmanager
def asked_by(who):
    """What runs inside is asked by these (see `statement`), and by nobody else."""
    before, _here.who = _here.who, who
    try:
        yield
    finally:
        _here.who = before


def as_system():
    """What runs inside sees every row; also a decorator. Not around a generator: it would outlive its own frame."""
    return asked_by(SYSTEM)
