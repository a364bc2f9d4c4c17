"""`manage.py verify_audit`: is the audit what was written? Against the database, or an export of it without one."""

import os
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from accessctl.audit import checkpoint, encoding, proof, source, verify
from fhirserver.embedded.folder import FolderError
from fhirserver.embedded.reach import add_data_argument, reach
from records.database import as_system

MOST_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Verify every audit record, the Merkle tree over them, its signed checkpoints and the unsealed tail; name the"
        " first bad one. Exit status 1 when something is wrong."
    )

    def add_arguments(self, parser):
        add_data_argument(parser)
        parser.add_argument("--checkpoints", metavar="FILE", help="a copy of checkpoints.log kept elsewhere")
        parser.add_argument("--export", metavar="FILE", help="write what is verified as NDJSON, for --offline")
        parser.add_argument("--offline", metavar="FILE", help="verify an export or a proof, without a database")
        parser.add_argument("--key", metavar="KEY", help="with --offline: the public key to believe, or its file")
        parser.add_argument("--proof", metavar="SEQ", type=int, help="print the proof that this record is in the audit")
        parser.add_argument("--public-key", action="store_true", help="print the public key and nothing else")

    def handle(self, *, offline, data, **options):
        try:
            with nullcontext() if offline else reach(data, holder="verify_audit"), as_system():
                if offline:
                    self.offline(offline, options["key"])
                elif options["public_key"]:
                    self.stdout.write(checkpoint.shown(checkpoint.public_keys()[0]))
                elif options["proof"] is not None:
                    self.stdout.write(msgspec.json.format(msgspec.json.encode(proof.proof(options["proof"]))).decode())
                elif options["export"]:
                    self.export(options["export"], options["checkpoints"])
                else:
                    self.verify(source.database(options["checkpoints"]), encoding.keys(), checkpoint.public_keys())
        except EXPECTED as error:
            raise CommandError(str(error)) from error

    def export(self, path, log):
        """Who may read the export reads who saw what of whom: it is closed to others."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "wb") as file:
            count = source.export(source.database(log), file)
        self.stdout.write(f"{count} records exported to {path}; public key:")
        self.stdout.write(checkpoint.shown(checkpoint.public_keys()[0]))

    def offline(self, path, key):
        with opened(path) as file:
            if file.peek(64).lstrip().startswith(b"{\n"):
                self.check_proof(msgspec.json.decode(file.read(), type=proof.Proof), key)
                return
            entries = source.exported(file)
            public = [checkpoint.known(text) for text in next(entries).public]
            if key:
                public = [known(key)]
            else:
                self.stderr.write("warning: without --key the public key of the export itself is believed")
            macs = encoding.keys() if settings.FHIRSERVER_AUDIT_KEY else ()
            if not macs:
                self.stderr.write("FHIRSERVER_AUDIT_KEY is not set: MACs are not checked, nor is the unsealed tail")
            self.verify(entries, macs, public)

    def check_proof(self, given, key):
        public = known(key) if key else checkpoint.known(given.public)
        if not key:
            self.stderr.write("warning: without --key the public key of the proof itself is believed")
        found = proof.check(given, public)
        self.stdout.write(
            f"Record {given.record.seq} is at position {given.position} of the {found.size} records of checkpoint"
            f" {found.number}, signed {found.time:%Y-%m-%d %H:%M:%S} UTC."
        )

    def verify(self, entries, macs, public):
        wanted = verify.Verification(macs, public)
        count = 0
        for finding in wanted.findings(entries):
            count += 1
            if count <= MOST_SHOWN:
                self.stdout.write(("first bad: " if count == 1 else "") + str(finding))
        last = wanted.last
        until = f"checkpoint {last.number} of {last.time:%Y-%m-%d %H:%M:%S} UTC" if last else "no checkpoint yet"
        self.stdout.write(f"{wanted.records} records, {wanted.tail} of them not sealed yet; {until}.")
        if count:
            raise CommandError(f"The audit is not what was written: {count} findings.", returncode=1)
        self.stdout.write("The audit is what was written.")


EXPECTED = (
    FolderError, ImproperlyConfigured, OSError, proof.NotSealed, proof.Wrong, source.NotAnExport,
    msgspec.MsgspecError, ValueError,
)  # fmt: skip


@contextmanager
def opened(path):
    with sys.stdin.buffer if path == "-" else Path(path).open("rb") as file:
        yield file


def known(key):
    """The public key of a text, or of the file that holds it."""
    return checkpoint.known(Path(key).read_text() if Path(key).is_file() else key)
