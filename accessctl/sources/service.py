"""Tokens of registered clients may do what their scopes say."""

from records.sql import TRUE

from . import permits


@permits
def registered(actor, code, type, alias, pk):
    return TRUE, f"The client {actor.client} is registered."
