"""The settings in force, without secrets."""

from django.conf import settings as configured
from django.utils.translation import gettext as _

from ...settings import SETTINGS
from .staff import shown, staff

SECRET = ("KEY", "DATABASE_URL", "REDIS_URL", "MAIL_URL")


@staff("operations")
def settings(request):
    """What is in force, without secrets."""
    rows = []
    for name, (default, what) in SETTINGS.items():
        value = getattr(configured, name, None)
        hidden = any(each in name for each in SECRET)
        rows.append((name, _("set, not shown") if hidden else default if value is None else value, what))
    return shown(request, "settings", "settings/", rows=rows)
