"""Who may do what to which records, and who did.

Rooms in reading order:
  actor, scopes     who asks, and what the token allows at most
  access, sources/  the formula over the rows, and a file for each reason
  people, rights    who is who, and what was granted, as dated rows
  consent, matrix, labels ...   what the reasons are made of; decisions, emergency: what changes them
  guard, provenance, notices    what a write may change, who really said it, who is told
  smart/            clients and their authorisations
  export/           all of it for programs, as files of one moment
  audit/            what everybody did, so that it shows when somebody alters it
"""
