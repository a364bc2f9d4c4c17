"""Bulk export: all that a program may read, as NDJSON files, of one moment. (FHIR Bulk Data Access 2.0)

Rooms in reading order:
  operations          the addresses
  asked, rights       what a kick-off asks; who may, and whether still
  job, walk, members  the slices of its work; what there was at the moment; whose records
  told                each patient is told
  kept, tables        the rows
docs/explanation/export.md
"""
