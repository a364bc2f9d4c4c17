"""Gathers the models of the packages below, for Django."""

from .indexing.models import Job  # noqa: F401
from .loading.models import LoadedInput, LoadedRange  # noqa: F401
from .resources.models import Compartment, Pending, Resource, Version  # noqa: F401
from .search.contained import Contained, ContainedKind  # noqa: F401
from .search.stored import Registry, StoredParameter  # noqa: F401
from .search.types.composite import Composite  # noqa: F401
from .search.types.date import Date  # noqa: F401
from .search.types.quantity import Quantity  # noqa: F401
from .search.types.reference import Reference  # noqa: F401
from .search.types.special import Position  # noqa: F401
from .search.types.string import String  # noqa: F401
from .search.types.text import FullText  # noqa: F401
from .search.types.token import Concept, Token  # noqa: F401
from .search.types.uri import Uri  # noqa: F401
