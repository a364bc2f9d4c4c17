"""Notices as e-mails, by Django's mail; imported by the worker alone."""

from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage

from accessctl.notices import data


def send(notice, addresses):
    """One e-mail to each address; an attempt that is made again carries the same Message-ID."""
    domain = parseaddr(settings.FHIRSERVER_MAIL_FROM)[1].rpartition("@")[2] or "localhost"
    subject = " / ".join(data()["subject"][each] for each in data()["languages"])
    for n, address in enumerate(addresses):
        EmailMessage(
            subject,
            notice.text(),
            settings.FHIRSERVER_MAIL_FROM,
            [address],
            headers={"Message-ID": f"<{notice.name}.{n}@{domain}>", "Auto-Submitted": "auto-generated"},
        ).send()
