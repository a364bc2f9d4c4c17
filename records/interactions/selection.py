"""Conditions that search: If-None-Exist, conditional URLs, conditional references. (http.html#ccreate, #cond-update)

Two requests with the same criteria wait for each other on a lock of (type, criteria), taken before the statement that
decides; so fifty concurrent conditional creates make one resource. Writers by id do not take that lock: what the
criteria selected is taken in hand, and if it has another version by then, the interaction begins anew.
"""

from django.conf import settings

from .. import errors, search
from ..database import Overtaken, lock
from ..definitions.compartments import compartment
from ..indexing.index import catch_up
from ..keys import key
from ..resources.located import located
from ..search import stored
from .interaction import Touched
from .parse import pairs, require_id

IMMEDIATE = {"_id", "identifier", "url"}  # indexed by the write itself; everything else waits for the indexer


class Resolver:
    """The access for finding what a write refers to: it yields an id, and shows nothing."""

    def __init__(self, access):
        self.principal = access.principal
        self._access = access

    def resources(self, code, type, alias="r", pk="pk"):
        return self._access.resources("resolve", type, alias, pk)

    def patients(self, code, type):
        return None


def pairs_of(text):
    """(name, value) pairs of criteria given as text, in a header or a Bundle entry."""
    return pairs(text.partition("?")[2] if "?" in text else text)


def criteria_of(interaction):
    """The criteria that the interaction searches by, or None when it names its resource."""
    if interaction.code == "create":
        return pairs_of(interaction.conditions.if_none_exist) if interaction.conditions.if_none_exist else None
    return tuple(interaction.parameters) if interaction.id is None else None


def select(targets, access):
    """Find what each condition selects; the targets, with `id`, `found`, `row` or `shares` set."""
    conditional = [(t, c) for t in targets if (c := criteria_of(t.interaction)) is not None]
    lock(*(normalised(t.interaction.type, c) for t, c in conditional))
    first = {}
    positions = {id(t): n for n, t in enumerate(targets)}
    for target, criteria in conditional:
        interaction = target.interaction
        finder = Resolver(access) if interaction.code == "create" else access
        try:
            matches = found(interaction.type, criteria, finder)
            if len(matches) > 1:
                error = errors.MultipleMatches(f"{interaction.type}?{text_of(criteria)}")
                raise error.about(*told(interaction.type, matches))
        except errors.FHIRError as error:
            raise located(error, target.expression) from error
        if matches:
            target.id, target.found, target.selected = matches[0].id, True, matches[0].version
            if interaction.code == "create":
                target.row = current(interaction.type, target.id, access)
                require_unchanged(target)
        elif interaction.code == "create":
            earlier = first.setdefault(normalised(interaction.type, criteria), positions[id(target)])
            target.shares = earlier if earlier != positions[id(target)] else None
        elif interaction.code == "update" and target.resource is not None:
            target.id = id_given(target)
    return targets


def told(type, matches):
    """Of whom it tells that criteria select these."""
    return [Touched(type, row.id, None, row.patient) for row in matches]


def id_given(target):
    """The id that the body proposes for a resource that the criteria did not find, or None."""
    given = target.resource.get("id")
    if given is None:
        return None
    try:
        return require_id(given)
    except errors.InvalidId as error:
        error.expression = f"{target.interaction.type}.id"
        raise located(error, target.expression) from error


def require_unchanged(target):
    """Nobody has written the resource between the search that selected it and the lock that keeps it as it is."""
    if target.selected is not None and (target.row is None or target.row.version != target.selected):
        raise Overtaken(f"{target.interaction.type}/{target.id}")


def matching(type, criteria, access, limit=2):
    """Ids that the criteria select now, at most `limit`; never an answer from an index that lags."""
    return [row.id for row in found(type, criteria, access, limit)]


def found(type, criteria, access, limit=2):
    """The same with their versions."""
    fresh(type, criteria)
    return search.select(type, criteria, access, limit)


def fresh(type, criteria):
    """Bring the index up to date for criteria that the write itself does not index, or say Busy."""
    if all(name.split(":")[0].split(".")[0] in IMMEDIATE for name, _ in criteria):
        return
    stored.learn()
    if catch_up([type], None, settings.FHIRSERVER_CATCH_UP_MS):
        raise errors.Busy(f"The index of {type} is behind; the same request may be sent again.", retry_after=2)


def selected(interaction, access, limit):
    """What a conditional delete selects, under the lock of its criteria."""
    lock(normalised(interaction.type, interaction.parameters))
    return found(interaction.type, interaction.parameters, access, limit)


def referenced(type, criteria, access):
    """ "Type/id" of the one resource that a conditional reference selects. (http.html#trules)

    That there is one is told of the patient whose it is.
    """
    matches = found(type, pairs_of(criteria), Resolver(access))
    if len(matches) != 1:
        raise errors.PreconditionFailed(
            f"The conditional reference {type}?{criteria} must select exactly one resource that you may see."
        )
    if type in compartment("Patient"):
        access.note(*told(type, matches))
    return f"{type}/{matches[0].id}"


def current(type, id, access):
    """The row that a conditional create found."""
    from ..resources.store import lock as rows

    return rows([(type, id)], access, "read")[type, id]


def normalised(type, criteria):
    """Lock key of the criteria, whatever their order."""
    return key("criteria", type, *(part for pair in sorted(criteria) for part in pair))


def text_of(criteria):
    return "&".join(f"{name}={value}" for name, value in criteria)
