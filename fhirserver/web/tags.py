"""Template tags of our own pages; loaded everywhere."""

from django import template
from django.conf import settings
from django.utils.formats import number_format

from . import readable

register = template.Library()
register.filter("moment", readable.moment)
register.filter("instant", readable.instant)
register.filter("local", readable.local)
register.simple_tag(readable.zone, name="time_zone")
register.filter("concept", readable.concept)
register.filter("kind", readable.kind)
register.filter("word", readable.word)
register.filter("profession", readable.profession)
register.filter("deed", readable.deed)


@register.simple_tag
def external_login():
    """Is there an identity provider to sign in with?"""
    return bool(settings.FHIRSERVER_OIDC_ISSUER)


@register.filter
def grouped(number):
    """A whole number as people read it: 2,847."""
    return number_format(number, force_grouping=True)


@register.filter
def get(mapping, key):
    """The value under a key that a variable holds."""
    return mapping.get(key) if hasattr(mapping, "get") else None


@register.filter
def is_list(value):
    return isinstance(value, list)
