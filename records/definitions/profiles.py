"""The 44 official profiles beyond the base types, by canonical URL. (profilelist.html)"""

from .lines import definition, lines


def profile_urls() -> tuple[str, ...]:
    return tuple(lines("profiles"))


def profile(url: str) -> dict | None:
    """A profile's snapshot: url, name, type, baseDefinition, elements as ElementDefinitions without prose."""
    return definition("profiles", url.partition("|")[0])
