"""Tokens of registered clients may do what their scopes say; people need a reason of their own."""

from records.sql import TRUE

from . import permits


@permits
def registered(actor, code, type, alias, pk):
    if actor.person is not None:
        return None
    return TRUE, f"The client {actor.client} is registered."
