"""The server as a whole: HTTP and composition, no FHIR rules.

Rooms in reading order:
  endpoint, urls, wsgi   one request from bytes to bytes
  oauth/, web/           the authorisation server; the pages for people
  settings, roles, logs  what a deployment may set; the two database roles; the log lines
  celery, queue          the worker that indexes, and its broker of one machine
  embedded/              the one-machine default: PostgreSQL, web and worker as children of `manage.py up`
"""
