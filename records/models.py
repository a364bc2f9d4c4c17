"""Gathers the models of the packages below, for Django."""

from .resources.models import Compartment, Pending, Resource, Version  # noqa: F401
