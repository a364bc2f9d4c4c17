"""Template tags of our own pages; loaded everywhere."""

from django import template

register = template.Library()


@register.filter
def get(mapping, key):
    """The value under a key that a variable holds."""
    return mapping.get(key) if hasattr(mapping, "get") else None
