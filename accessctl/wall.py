"""The second wall: what PostgreSQL's row-level security is told of an actor. (docs/explanation/second-wall.md)

The policies are in the migrations; they are wider than the predicate of access.py and never narrower.
"""

from records.database.asking import NOBODY, statement

from .policy import policy


def asked_by(actor):
    """The statement that names the actor to the database; nobody when the purpose is a forbidden one."""
    person = actor.person
    if person is None:
        bound = bound_to(actor)
        return statement("client" if bound == "" else "bound", author=actor.author, bound=bound)
    if actor.purpose in policy().forbiddenPurposes:
        return NOBODY
    return statement(
        person.kind, person=person.user, author=actor.author, patient=person.patient or 0,
        practitioner=person.practitioner or 0, bound=bound_to(actor), policy=switches(),
    )  # fmt: skip


def bound_to(actor):
    """The patient whom all scopes of the token are about, 0 for patient/ scopes without one; "" without a bound."""
    if not actor.scopes or any(scope.level != "patient" for scope in actor.scopes):
        return ""
    return actor.patient or 0


def switches():
    """A letter for each switch of the policy that shows more than the wall otherwise would."""
    said = policy()
    return (
        ("a" if said.attendingSeesMasked else "")
        + ("e" if said.emergencyRevealsMasked else "")
        + ("" if said.blocksBindEmergency else "b")
    )
