"""What stands in the addresses of pages: ids and types of FHIR."""

from django.urls import register_converter

from records.definitions.structures import is_resource_type


class Id:
    """An id of FHIR, which is also safe in any URL."""

    regex = r"[A-Za-z0-9.-]{1,64}"
    to_python = to_url = staticmethod(str)


class Type:
    """A resource type."""

    regex = r"[A-Za-z]{2,40}"
    to_url = staticmethod(str)

    @staticmethod
    def to_python(text):
        if not is_resource_type(text):
            raise ValueError(text)
        return text


register_converter(Id, "rid")
register_converter(Type, "rtype")
