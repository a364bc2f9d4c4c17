"""Security labels given on write: rules registered by `@labels`, called by the store. (security-labels.html)"""

RULES = []
BITS = {}  # (system, code) -> bit of Resource.labels


def labels(function):
    """Register (resource, type) -> iterable of (system, code) that the resource must carry in meta.security."""
    RULES.append(function)
    return function


def known(system, code):
    """Give a label a bit of the row, so that SQL can ask for it; the order of calls is the order of bits."""
    return BITS.setdefault((system, code), 1 << len(BITS))


def labelled(resource, type):
    """The resource with every label that the rules give in its meta.security."""
    wanted = dict.fromkeys(label for rule in RULES for label in rule(resource, type))
    if not wanted:
        return resource
    meta = dict(resource.get("meta") or {})
    security = list(meta.get("security") or ())
    present = {(c.get("system"), c.get("code")) for c in security}
    security += [{"system": system, "code": code} for system, code in wanted if (system, code) not in present]
    return {**resource, "meta": {**meta, "security": security}}


def bits(resource):
    """The row's bit set, from meta.security."""
    total = 0
    for coding in (resource.get("meta") or {}).get("security") or ():
        total |= BITS.get((coding.get("system"), coding.get("code")), 0)
    return total
