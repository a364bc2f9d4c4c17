"""Tokens of clients: issued, rotated, revoked. All the tokens that come of one authorisation are its family."""

import secrets
from datetime import timedelta
from hashlib import sha256

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from records.database import execute

from ..models import Token
from ..people import Person
from .tables import Authorization, RefreshToken

KEPT = 7  # days that what is over stays
PURGED = 1000  # rows of each table in one round
OVER = {
    "token_access": "expires < now() - make_interval(days => %s)",
    "token_refresh": "expires < now() - make_interval(days => %s)",
    "launch": "expires < now() - make_interval(days => %s)",
    "app_authorization": "expires < now() - make_interval(days => %s)"
    " AND NOT EXISTS (SELECT FROM token_access t WHERE t.authorization_id = o.id)"
    " AND NOT EXISTS (SELECT FROM token_refresh f WHERE f.authorization_id = o.id)",
}
PERSONAL = timedelta(hours=1)  # an access token of an application that a person uses
BACKEND = timedelta(minutes=5)  # and of a backend service
CODE = timedelta(minutes=1)
OFFLINE = timedelta(days=180)  # a refresh token, from its rotation on; of online_access until the session ends
ONLINE = timedelta(hours=12)


def digest(secret):
    """What the database knows of a secret."""
    return sha256(secret.encode()).digest()


def new_secret():
    return secrets.token_urlsafe(32)


def access_token(text, client, scopes, authorization=None, purpose=None):
    """Store an access token of a client: of the person who authorised it, of whom it serves, or its own."""
    Token.objects.create(
        digest=digest(text),
        client=client,
        user=authorization.user if authorization else client.behalf,
        scopes=scopes,
        purpose=authorization.purpose if authorization else purpose,
        patient=authorization.patient if authorization else None,
        authorization=authorization,
        expires=timezone.now() + (PERSONAL if authorization else BACKEND),
    )


def refresh_token(text, authorization):
    lifetime = ONLINE if authorization.session else OFFLINE
    RefreshToken.objects.create(digest=digest(text), authorization=authorization, expires=timezone.now() + lifetime)


def revoke(authorization):
    """End a whole family, now."""
    now = timezone.now()
    Authorization.objects.filter(pk=authorization.pk, revoked=None).update(revoked=now)
    Token.objects.filter(authorization=authorization, revoked=None).update(revoked=now)


def authorized(client, user, **granted):
    """The code of a new authorisation, as text."""
    text = new_secret()
    Authorization.objects.create(
        client=client, user=user, code=digest(text), expires=timezone.now() + CODE, authenticated=user.last_login,
        **granted,
    )  # fmt: skip
    return text


def is_somebody(user):
    """May applications act for this login? For one without a person there would be nobody to judge."""
    return user.is_active and Person.objects.filter(user=user).exists()


def exchange(code, client, redirect):
    """The Authorization that a code stands for, locked; None when it is none of this client, or over.

    A code that comes a second time ends what it was exchanged for. (RFC 9700 4.5; attack A60)
    """
    found = Authorization.objects.select_for_update(of=("self",)).filter(code=digest(code)).first()
    if found is None or found.client_id != client.pk:
        return None
    if found.used:
        revoke(found)
        return None
    fresh = found.revoked is None and found.expires > timezone.now() and is_somebody(found.user)
    return found if fresh and found.redirect == redirect else None


def exchanged(authorization):
    """The code was exchanged."""
    Authorization.objects.filter(pk=authorization.pk).update(used=timezone.now())


def rotate(text, client):
    """The Authorization of a refresh token, which is used up; None when it is none of this client, or over.

    One that was used before has been stolen, from the client or by it: the family ends. (RFC 9700 4.14.2; A61)
    """
    found = RefreshToken.objects.select_for_update(of=("self",)).filter(digest=digest(text)).first()
    if found is None or found.authorization.client_id != client.pk:
        return None
    authorization = Authorization.objects.select_for_update(of=("self",)).get(pk=found.authorization_id)
    if found.used:
        revoke(authorization)
        return None
    if authorization.revoked or found.expires <= timezone.now() or not is_somebody(authorization.user):
        return None
    return authorization


def owner(text):
    """The client that a refresh token was given to, valid or not."""
    found = RefreshToken.objects.select_related("authorization__client").filter(digest=digest(text)).first()
    return found and found.authorization.client


def spend(text):
    """The refresh token was used."""
    RefreshToken.objects.filter(digest=digest(text)).update(used=timezone.now())


def living(user):
    """The authorisations of a person of which a token can still be used, newest first."""
    now = timezone.now()
    able = Q(token__revoked=None, token__expires__gt=now) | Q(refreshtoken__used=None, refreshtoken__expires__gt=now)
    found = Authorization.objects.filter(able, user=user, revoked=None, client__active=True).distinct()
    return list(found.select_related("client").order_by("-created"))


@transaction.atomic
def revoke_token(text, client):
    """Revoke a token of this client: a refresh token with its family, an access token alone. (RFC 7009)"""
    if refresh := RefreshToken.objects.filter(digest=digest(text), authorization__client=client).first():
        revoke(refresh.authorization)
    Token.objects.filter(digest=digest(text), client=client, revoked=None).update(revoked=timezone.now())


def valid_token(text):
    """The Token row if it is valid now, as a request would find it."""
    return (
        Token.objects.select_related("client", "user", "authorization")
        .filter(digest=digest(text), revoked=None, expires__gt=timezone.now(), client__active=True)
        .filter(Q(user=None) | Q(user__is_active=True))
        .filter(Q(user=None) | Q(user__person__isnull=False) | Q(authorization=None, client__behalf=None))
        .first()
    )


def valid_refresh(text):
    """The RefreshToken row if it could be used now."""
    return (
        RefreshToken.objects.select_related("authorization__client", "authorization__user")
        .filter(digest=digest(text), used=None, expires__gt=timezone.now(), authorization__revoked=None)
        .filter(authorization__client__active=True, authorization__user__is_active=True)
        .filter(authorization__user__person__isnull=False)
        .first()
    )


def purge():
    """Forget tokens, launches and authorisations that are over for a week; True when there are more.

    A refresh token that was used stays for as long as it would have lived: its reuse must be seen.
    """
    gone = [
        len(
            execute(
                f"DELETE FROM {table} WHERE id IN (SELECT o.id FROM {table} o WHERE {over} LIMIT {PURGED}"
                " FOR UPDATE SKIP LOCKED) RETURNING id",
                (KEPT,),
            )
        )
        for table, over in OVER.items()
    ]
    return max(gone) == PURGED
