"""Clients, what people let them do, and what is remembered so that it works once. Secrets are kept as SHA-256 only."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Client(models.Model):
    """A program that may ask, registered by an administrator; its name is its client_id."""

    name = models.CharField(max_length=200, unique=True)
    active = models.BooleanField(default=True)
    created = models.DateTimeField(db_default=Now())
    title = models.CharField(max_length=200, db_default="")  # for people
    scopes = models.TextField(db_default="")  # the most that it may be granted; none: no OAuth at all
    redirects = ArrayField(models.TextField(), default=list, db_default=[])
    launch_url = models.TextField(null=True)  # where an EHR launch begins
    jwks = models.JSONField(null=True)  # public keys; with them or with jwks_uri it proves itself, else it is public
    jwks_uri = models.TextField(null=True)
    introspects = models.BooleanField(db_default=False)  # may ask about tokens of other clients
    behalf = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)  # of a service account
    purposes = ArrayField(models.CharField(max_length=40), default=list, db_default=[])  # it may state, beside ordinary

    class Meta:
        db_table = "client"

    @property
    def client_id(self):
        return self.name

    @property
    def confidential(self):
        return self.jwks is not None or self.jwks_uri is not None


class Authorization(models.Model):
    """What a person let a client do: a code, and the family of tokens that comes of it."""

    client = models.ForeignKey(Client, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    code = models.BinaryField(unique=True)
    redirect = models.TextField()
    challenge = models.CharField(max_length=128)
    nonce = models.TextField(null=True)
    scopes = models.TextField()
    patient = models.CharField(max_length=64, null=True)
    purpose = models.CharField(max_length=40, null=True)
    context = models.JSONField(default=dict)  # further launch context, as the token response tells it
    session = models.CharField(max_length=64, null=True)  # it ends with this one (online_access)
    authenticated = models.DateTimeField(null=True)  # when the person logged in
    created = models.DateTimeField(db_default=Now())
    expires = models.DateTimeField()  # of the code
    used = models.DateTimeField(null=True)  # the code was exchanged
    revoked = models.DateTimeField(null=True)

    class Meta:
        db_table = "app_authorization"


class RefreshToken(models.Model):
    """One of the refresh tokens of an authorisation; one used twice ends the family."""

    digest = models.BinaryField(unique=True)
    authorization = models.ForeignKey(Authorization, on_delete=models.CASCADE)
    issued = models.DateTimeField(db_default=Now())
    expires = models.DateTimeField()
    used = models.DateTimeField(null=True)

    class Meta:
        db_table = "token_refresh"


class SeenAssertion(models.Model):
    """A client assertion that was accepted: none is accepted twice. (RFC 7523; attack A65)"""

    client = models.ForeignKey(Client, on_delete=models.CASCADE)
    digest = models.BinaryField()  # SHA-256 of its jti
    expires = models.DateTimeField()

    class Meta:
        db_table = "seen_assertion"
        constraints = [models.UniqueConstraint(fields=["client", "digest"], name="seen_assertion_once")]
        indexes = [models.Index(fields=["expires"], name="seen_assertion_expires")]


class Launch(models.Model):
    """An EHR launch on its way to a client: whose it is, and the context that it carries; used once."""

    digest = models.BinaryField(unique=True)
    client = models.ForeignKey(Client, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    patient = models.CharField(max_length=64, null=True)
    context = models.JSONField(default=dict)
    created = models.DateTimeField(db_default=Now())
    expires = models.DateTimeField()
    used = models.DateTimeField(null=True)

    class Meta:
        db_table = "launch"


class SigningKey(models.Model):
    """A key that signs id_tokens: the private part is encrypted under the secret key of the server."""

    kid = models.CharField(max_length=64, primary_key=True)
    public = models.JSONField()
    private = models.BinaryField()
    created = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "signing_key"
