"""Settings, all from the environment. SETTINGS is their one table; docs/reference/settings.md is tested against it."""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from .embedded import Folder, environment

BASE_DIR = Path(__file__).resolve().parent.parent
UNSET = "unset"  # a secret key that signs nothing: `up` refuses it

# name -> (default, what it is)
SETTINGS = {
    "DATABASE_URL": ("", "postgresql:// address for the application role; unset: the embedded PostgreSQL"),
    "FHIRSERVER_OWNER_DATABASE_URL": ("", "postgresql:// address for the role that migrates; unset: DATABASE_URL"),
    "REDIS_URL": ("", "redis:// address of the broker; unset: a queue in the data folder"),
    "FHIRSERVER_DATA": ("", "data folder, for commands without --data"),
    "FHIRSERVER_SECRET_KEY": (UNSET, "key that seals page links and signs sessions; unset: the data folder's own"),
    "FHIRSERVER_AUDIT_KEY": ("", "keys of the audit's MACs, newest first, with commas; unset: the data folder's own"),
    "FHIRSERVER_AUDIT_SIGNING_KEY": ("", "secrets of the keys that sign its checkpoints, in the same way"),
    "FHIRSERVER_ENVIRONMENT": ("sandbox", "sandbox: any INS; production: no test or demo INS; demo: no real INS"),
    "FHIRSERVER_BASE_URL": ("", "base URL in links, such as https://example.org/fhir; unset: what the client used"),
    "FHIRSERVER_ALLOWED_HOSTS": ("", "host names answered to, separated by commas; loopback names always are"),
    "FHIRSERVER_TRUSTED_PROXIES": ("", "addresses or networks whose Forwarded headers are believed"),
    "FHIRSERVER_CORS_ORIGINS": ("", "origins of browser applications, separated by commas; * for any"),
    "FHIRSERVER_MAIL_URL": ("", "smtp://user:password@host:587 (STARTTLS) or smtps://...; unset: files in DIR/mail"),
    "FHIRSERVER_MAIL_FROM": ("fhirserver@localhost", "sender of the notices"),
    "FHIRSERVER_TLS_CERT": ("", "certificate file (PEM); with FHIRSERVER_TLS_KEY the server speaks https"),
    "FHIRSERVER_TLS_KEY": ("", "private key file of the certificate (PKCS#8)"),
    "FHIRSERVER_WEB_WORKERS": ("2", "web processes"),
    "FHIRSERVER_WEB_THREADS": ("4", "requests that each web process works on at once"),
    "FHIRSERVER_PIN_WEB": ("auto", "one processor for each web process: always, never, or auto: when there are enough"),
    "FHIRSERVER_CONNECTIONS": ("5", "database connections of each process, lent to its threads"),
    "FHIRSERVER_WAITING": ("220", "further requests of each web process that may wait; more are answered 503 at once"),
    "FHIRSERVER_PATIENCE_MS": ("5000", "longest wait of such a request before it is answered 503, in milliseconds"),
    "FHIRSERVER_INDEX_BACKLOG": ("5000", "writes waiting for the indexer above which who writes helps it; 0: nobody"),
    "FHIRSERVER_CLIENT_RATE": (
        "0",
        "requests a second of a client, or of a person at pages, in one web process; 0: any",
    ),
    "FHIRSERVER_MAX_BODY": (str(50 * 1024 * 1024), "largest request body, in bytes after decompression"),
    "FHIRSERVER_MAX_ENTRIES": ("5000", "most entries of a Bundle"),
    "FHIRSERVER_DEFAULT_COUNT": ("50", "entries of a page without _count"),
    "FHIRSERVER_MAX_COUNT": ("1000", "largest page"),
    "FHIRSERVER_DEADLINE_MS": (
        "9000",
        "longest wait of a request for the database, in milliseconds; 20 more an entry of a Bundle",
    ),
    "FHIRSERVER_STATEMENT_TIMEOUT": ("10000", "longest database statement of a request, in milliseconds"),
    "FHIRSERVER_LOCK_TIMEOUT": ("5000", "longest wait for a lock on a resource, in milliseconds; then 503"),
    "FHIRSERVER_CATCH_UP_MS": ("1000", "time a search may spend on indexing what it depends on, in milliseconds"),
    "FHIRSERVER_EXPORT_HOURS": ("24", "hours that the files of an export are kept"),
    "FHIRSERVER_OIDC_ISSUER": ("", "issuer of an identity provider that professionals sign in with; unset: none"),
    "FHIRSERVER_OIDC_CLIENT_ID": ("", "client_id that the provider gave this server"),
    "FHIRSERVER_OIDC_CLIENT_SECRET": ("", "and its secret"),
    "FHIRSERVER_OIDC_SCOPE": ("openid scope_all", "scopes asked of the provider"),
    "FHIRSERVER_OIDC_ACR": ("eidas1", "how sign-ins must be proven: acr values, separated by spaces"),
    "FHIRSERVER_VIEWER_URL": ("", "https address of an image viewer, {study} for the Study Instance UID; unset: none"),
    "FHIRSERVER_REQUIRE_SUBJECT": ("false", "refuse an Observation without subject"),
    "FHIRSERVER_STRICT_CONSENT": ("false", "refuse a Consent not enforceable whole; false: it closes the record"),
    "FHIRSERVER_REFERENTIAL_INTEGRITY": ("false", "refuse references to resources that are not here"),
    "FHIRSERVER_LOG_LEVEL": ("INFO", "DEBUG, INFO, WARNING or ERROR"),
}

_data = os.environ.get("FHIRSERVER_DATA")
_environment = environment(_data) if _data and Folder.at(_data).secrets.is_dir() else os.environ


def text(name):
    return _environment.get(name, "") or SETTINGS[name][0]


def number(name):
    value = text(name)
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"{name}={value!r} is not a whole number") from None


def flag(name):
    value = text(name).lower()
    if value not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError(f"{name}={value!r} is neither true nor false")
    return value in ("true", "1", "yes")


def choice(name, *among):
    value = text(name).lower()
    if value not in among:
        raise ValueError(f"{name}={value!r} is none of {', '.join(among)}")
    return value


def listed(name):
    return [part.strip() for part in text(name).split(",") if part.strip()]


# -- ours, by the names of the table -------------------------------------------------------------------------------

FHIRSERVER_DATA = text("FHIRSERVER_DATA")
FHIRSERVER_AUDIT_KEY = text("FHIRSERVER_AUDIT_KEY")
FHIRSERVER_AUDIT_SIGNING_KEY = text("FHIRSERVER_AUDIT_SIGNING_KEY")
AUDIT_FOLDER = os.path.join(FHIRSERVER_DATA, "audit") if FHIRSERVER_DATA else ""
FHIRSERVER_ENVIRONMENT = text("FHIRSERVER_ENVIRONMENT")
FHIRSERVER_BASE_URL = text("FHIRSERVER_BASE_URL").rstrip("/")
FHIRSERVER_TRUSTED_PROXIES = listed("FHIRSERVER_TRUSTED_PROXIES")
FHIRSERVER_CORS_ORIGINS = listed("FHIRSERVER_CORS_ORIGINS")
FHIRSERVER_WEB_WORKERS = number("FHIRSERVER_WEB_WORKERS")
FHIRSERVER_WEB_THREADS = number("FHIRSERVER_WEB_THREADS")
FHIRSERVER_PIN_WEB = choice("FHIRSERVER_PIN_WEB", "auto", "always", "never")
FHIRSERVER_CONNECTIONS = number("FHIRSERVER_CONNECTIONS")
FHIRSERVER_WAITING = number("FHIRSERVER_WAITING")
FHIRSERVER_PATIENCE_MS = number("FHIRSERVER_PATIENCE_MS")
FHIRSERVER_CLIENT_RATE = number("FHIRSERVER_CLIENT_RATE")
FHIRSERVER_LOCK_TIMEOUT = number("FHIRSERVER_LOCK_TIMEOUT")
FHIRSERVER_MAX_BODY = number("FHIRSERVER_MAX_BODY")
FHIRSERVER_MAX_ENTRIES = number("FHIRSERVER_MAX_ENTRIES")
FHIRSERVER_DEFAULT_COUNT = number("FHIRSERVER_DEFAULT_COUNT")
FHIRSERVER_MAX_COUNT = number("FHIRSERVER_MAX_COUNT")
FHIRSERVER_DEADLINE_MS = number("FHIRSERVER_DEADLINE_MS")
FHIRSERVER_STATEMENT_TIMEOUT = number("FHIRSERVER_STATEMENT_TIMEOUT")
FHIRSERVER_CATCH_UP_MS = number("FHIRSERVER_CATCH_UP_MS")
FHIRSERVER_INDEX_BACKLOG = number("FHIRSERVER_INDEX_BACKLOG")
FHIRSERVER_EXPORT_HOURS = number("FHIRSERVER_EXPORT_HOURS")
FHIRSERVER_OIDC_ISSUER = text("FHIRSERVER_OIDC_ISSUER")
FHIRSERVER_OIDC_CLIENT_ID = text("FHIRSERVER_OIDC_CLIENT_ID")
FHIRSERVER_OIDC_CLIENT_SECRET = text("FHIRSERVER_OIDC_CLIENT_SECRET")
FHIRSERVER_OIDC_SCOPE = text("FHIRSERVER_OIDC_SCOPE")
FHIRSERVER_OIDC_ACR = text("FHIRSERVER_OIDC_ACR")
FHIRSERVER_VIEWER_URL = text("FHIRSERVER_VIEWER_URL")
if FHIRSERVER_VIEWER_URL and not (FHIRSERVER_VIEWER_URL.startswith("https://") and "{study}" in FHIRSERVER_VIEWER_URL):
    raise ValueError(f"FHIRSERVER_VIEWER_URL={FHIRSERVER_VIEWER_URL!r} is not an https address with {{study}} in it")
FHIRSERVER_REQUIRE_SUBJECT = flag("FHIRSERVER_REQUIRE_SUBJECT")
FHIRSERVER_STRICT_CONSENT = flag("FHIRSERVER_STRICT_CONSENT")
FHIRSERVER_REFERENTIAL_INTEGRITY = flag("FHIRSERVER_REFERENTIAL_INTEGRITY")

# -- Django ----------------------------------------------------------------------------------------------------------

SECRET_KEY = text("FHIRSERVER_SECRET_KEY")
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *listed("FHIRSERVER_ALLOWED_HOSTS")]
if FHIRSERVER_BASE_URL:
    ALLOWED_HOSTS.append(urlsplit(FHIRSERVER_BASE_URL).hostname)
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",  # the page of passkeys
    "allauth",
    "fhirserver.apps.AccountsConfig",
    "allauth.mfa",
    "axes",
    "rest_framework",
    "guardian",
    "records",
    "accessctl",
    "fhirserver",
]
MIDDLEWARE = ["fhirserver.web.dispatch.Dispatch"]
PAGE_MIDDLEWARE = [  # what a page passes; /fhir does not
    "fhirserver.web.headers.security_headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "fhirserver.web.headers.only_text",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "fhirserver.web.login.second_factor",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "fhirserver.urls"
WSGI_APPLICATION = "fhirserver.wsgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français")]
LOCALE_PATHS = [BASE_DIR / "fhirserver" / part / "locale" for part in ("web", "oauth")]
LANGUAGE_COOKIE_NAME = "language"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "fhirserver" / "web" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "fhirserver.web.home.context",
            ],
            "libraries": {"static": "fhirserver.web.static"},
            "builtins": [
                "django.templatetags.i18n",
                "django.templatetags.l10n",
                "fhirserver.web.static",
                "fhirserver.web.tags",
            ],
        },
    }
]
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # the endpoint limits bodies itself and answers with an OperationOutcome
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None  # guardian would make a user at each migration
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
SECURE_CONTENT_TYPE_NOSNIFF = True

# -- pages: sessions, logins ------------------------------------------------------------------------------------------

SESSION_COOKIE_HTTPONLY = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "session", "csrf"
SESSION_COOKIE_AGE = 3600  # seconds without a page
SESSION_SAVE_EVERY_REQUEST = SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "fhirserver.web.home.refused"
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(FHIRSERVER_BASE_URL))] if FHIRSERVER_BASE_URL else []
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
LOGIN_URL, LOGIN_REDIRECT_URL = "account_login", "home"
ACCOUNT_ADAPTER = "fhirserver.web.login.Accounts"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": "10/300s/key"}  # by login; a hospital has one address for all
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
MFA_ADAPTER = "fhirserver.web.login.SecondFactor"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "fhirserver"
MFA_TOTP_TOLERANCE = 1
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True  # of http only localhost has WebAuthn at all: browsers see to it
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "fhirserver.web.home.locked_out"
SILENCED_SYSTEM_CHECKS = [
    "axes.W002",  # it looks for its middleware in MIDDLEWARE only
    "templates.W003",  # `static` is ours on purpose
]
AXES_VERBOSE = AXES_ENABLE_ADMIN = False

# -- databases -------------------------------------------------------------------------------------------------------


# A database that is gone without a word is noticed; on a socket of this machine these have no meaning.
TCP = {"tcp_user_timeout": "10000", "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "2"}


def database(url, **session):
    """Django's description of a postgresql:// URL; `session` are settings of each session of the server."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    given = options.pop("options", "")
    options["options"] = " ".join([given, *(f"-c {name}={value}" for name, value in session.items())]).strip()
    options.setdefault("connect_timeout", "5")
    options.setdefault("application_name", "fhirserver")
    options = TCP | options
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or "") if "%" not in (parts.hostname or "") else unquote(host(parts.netloc)),
        "PORT": parts.port or "",
        "CONN_MAX_AGE": 0,  # of pages and commands; /fhir has a pool of its own
        "OPTIONS": options,
    }


def host(netloc):
    """The host of an address, in the letters given: urlsplit lowers them, and a socket's folder may have capitals."""
    return netloc.rpartition("@")[2].partition(":")[0]


def databases(environ):
    """`default`: the application role, which owns nothing; `owner`: the role that migrates, without time limits."""
    application = environ.get("DATABASE_URL") or "postgresql:///fhirserver"
    owner = environ.get("FHIRSERVER_OWNER_DATABASE_URL") or application
    return {
        "default": database(
            application,
            statement_timeout=FHIRSERVER_STATEMENT_TIMEOUT,
            lock_timeout=FHIRSERVER_LOCK_TIMEOUT,
            idle_in_transaction_session_timeout=60_000,
            client_connection_check_interval=2000,  # what a killed process asked for is not worked on to the end
        ),
        "owner": database(owner) | {"CONN_MAX_AGE": 0},
    }


DATABASES = databases(_environment)

# -- e-mail ----------------------------------------------------------------------------------------------------------


def mail(url, folder):
    """Django's settings for a mail server; without one, files: a log is no place for who is told what."""
    parts = urlsplit(url)
    if not url:
        kind = "filebased" if folder else "locmem"
        return {"EMAIL_BACKEND": f"django.core.mail.backends.{kind}.EmailBackend", "EMAIL_FILE_PATH": folder}
    if parts.scheme not in ("smtp", "smtps"):
        raise ValueError("FHIRSERVER_MAIL_URL begins neither with smtp:// nor with smtps://")
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or (465 if parts.scheme == "smtps" else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp" and not local,
    }


globals().update(mail(text("FHIRSERVER_MAIL_URL"), os.path.join(FHIRSERVER_DATA, "mail") if FHIRSERVER_DATA else None))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = FHIRSERVER_MAIL_FROM = text("FHIRSERVER_MAIL_FROM")

# -- Celery ----------------------------------------------------------------------------------------------------------

REDIS_URL = text("REDIS_URL")

# -- logs: one JSON object a line on stderr; `up` sends it to DIR/log -------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "fhirserver.logs.JSONLines"}},
    "filters": {"faults": {"()": "fhirserver.logs.Faults"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": text("FHIRSERVER_LOG_LEVEL")},
    "loggers": {
        "django.request": {"filters": ["faults"]},
        "axes": {"level": "WARNING"},
        "fontTools": {"level": "WARNING"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # a client's mistake, answered with 400
    },
}
