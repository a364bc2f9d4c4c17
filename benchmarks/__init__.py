"""Drives any FHIR base URL with the same work and says how fast it answers.

Reading order: connection.py (a small HTTP client), work.py (what is asked), bundles.py (what is loaded),
drive.py (clients in closed and open loop), figures.py (percentiles), processes.py (memory and CPU of a server),
run.py (rounds over one or two servers), report.py (table and JSON), peers.py (starts our server and sekmet).
"""
