"""Real processes, real faults. Reading order: server, client, load, checks, proxy; then the tests, by fault number."""
