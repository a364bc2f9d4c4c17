"""Keeps resources, finds resources. Reading order: interactions, resources, search, indexing."""

__version__ = "0.1.0"
