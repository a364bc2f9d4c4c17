"""The 1375 official SearchParameters, as given but for prose. (searchparameter-registry.html)"""

from collections.abc import Iterator

import msgspec

from .lines import lines


def search_parameter_definitions() -> Iterator[dict]:
    """Each official SearchParameter as a dict."""
    for line in lines("search-parameters").values():
        yield msgspec.json.decode(line)
