"""How far a search follows references, so that a name of a few hundred letters is no bomb. (attack A84)

A chain without types goes on to each type that has what follows: `focus.focus.focus...` is three times as many at every
step, each judged by all that decides who may see it.
"""

from records.errors import TooCostly

DEEPEST = 20  # references one after the other
MOST, TRIED = 400, 4000  # types that it follows to, by all its criteria and steps; those that it looks at for that


class Steps:
    """The steps up to some place in a criterion; what the whole search takes is counted together."""

    def __init__(self, depth=0, counted=None):
        self.depth, self.counted = depth, counted or {"tried": 0, "taken": 0}

    def further(self, name):
        """One step more, by a reference of this name; TooCostly when it is one too many."""
        if self.depth == DEEPEST:
            raise TooCostly(f"{name}: a search follows at most {DEEPEST} references one after the other.")
        self._count("tried", TRIED, name)
        return Steps(self.depth + 1, self.counted)

    def taken(self, name):
        """The step leads to what was asked for."""
        self._count("taken", MOST, name)

    def _count(self, what, most, name):
        self.counted[what] += 1
        if self.counted[what] > most:
            raise TooCostly(
                f"{name}: this follows to too many types of resource; name them, as in subject:Patient.name."
            )
