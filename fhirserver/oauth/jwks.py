"""Public keys of a client by its registered address, fetched so that the address can harm nobody. (S11, S29; A67)

From a public address alone, see fetch.py; kept for a while, as failures are for a moment.
"""

import http.client
import json
import re
import threading
import time

from .fetch import Unreachable, call

KEPT = 300.0  # seconds, when the answer does not say less
FAILED = 10.0  # seconds until an address that failed is tried again
AGE = re.compile(r"\bmax-age=(\d{1,9})\b", re.I)
_kept = {}  # address -> (until, JWKS or None)
_guard = threading.Lock()


def fetched(address, fresh=False, anywhere=False):
    """The JWKS at an address; `fresh`: not from what is kept, unless it has just been fetched.

    `anywhere`: also from the own network, when an administrator set the address.
    """
    with _guard:
        until, known, since = _kept.get(address, (0, None, 0))
    now = time.monotonic()
    if now < until and not (fresh and now - since > FAILED):
        if known is None:
            raise Unreachable(address)
        return known
    try:
        status, headers, data = call(address, anywhere=anywhere)
        found = json.loads(data) if status == 200 else None
        keys = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(keys, list):
            raise Unreachable(f"{address} answers {status} without a JWKS")
    except (OSError, ValueError, RecursionError, http.client.HTTPException, Unreachable) as error:
        keep(address, FAILED, None)
        raise Unreachable(str(error)) from error
    keep(address, lifetime(headers.get("Cache-Control", "")), found)
    return found


def keep(address, seconds, found):
    now = time.monotonic()
    with _guard:
        if len(_kept) > 1000:
            _kept.clear()
        _kept[address] = now + seconds, found, now


def lifetime(control):
    """How long an answer may be kept, in seconds."""
    if re.search(r"\bno-(?:store|cache)\b", control, re.I):
        return 0.0
    told = AGE.search(control)
    return min(KEPT, float(told[1])) if told else KEPT
