"""Settings, all from the environment (docs/reference/settings.md lists them)."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent


def database(url):
    """Django's description of a postgresql:// URL."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": parts.port or "",
    }


SECRET_KEY = os.environ.get("FHIRSERVER_SECRET_KEY", "unset")
DEBUG = False
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "guardian", "records", "accessctl"]
MIDDLEWARE = []
ROOT_URLCONF = "fhirserver.urls"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": database(os.environ.get("DATABASE_URL", "postgresql:///fhirserver")),
    "owner": database(os.environ.get("FHIRSERVER_OWNER_DATABASE_URL", "postgresql:///fhirserver")),
}
