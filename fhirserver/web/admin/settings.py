"""The settings in force, without secrets."""

from django.conf import settings as configured
from django.utils.translation import gettext as _

from ...settings import SETTINGS, UNSET, text
from .staff import shown, staff

SECRET = ("KEY", "SECRET", "PASSWORD", "TOKEN", "DATABASE_URL", "REDIS_URL", "MAIL_URL")  # in a name


@staff("operations")
def settings(request):
    """What is in force, without secrets."""
    rows = []
    for name, (_default, what) in SETTINGS.items():
        value = getattr(configured, name, None)
        value = text(name) if value is None else value
        if value in ("", UNSET, [], ()):
            value = _("not set")
        elif any(each in name for each in SECRET):
            value = _("set, not shown")
        elif isinstance(value, (list, tuple)):
            value = ", ".join(map(str, value))
        rows.append((name, value, _(what)))
    return shown(request, "settings", "settings/", rows=rows)
