"""Loading files: Bundles and NDJSON into the store by the same interactions that clients send, many at a time.

Reading order: inputs.py (which files), lines.py (NDJSON cut into chunks), work.py (a chunk or a Bundle becomes
interactions), ledger.py and models.py (what is done, kept with what it wrote), processes.py (the parallel part),
load.py (the whole run), progress.py (what one sees of it).
"""
