"""Who did what to whose record: written with the effect, MACed, sealed in a Merkle tree, verified without trust.

Reading order: encoding (a record as bytes), record (what is recorded), recorder (concurrent reads share a commit),
journal (what is kept off the database), merkle, checkpoint, seal, verify, proof; readers, event, criteria, served (the
type AuditEvent). docs/explanation/audit.md
"""

from .record import record
from .recorder import settle

__all__ = ["record", "settle"]
