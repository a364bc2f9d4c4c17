"""Static files, served by the server itself: the name holds a hash of the content, so that a browser asks once.

`{% static "app.css" %}` is also what the templates of allauth get, in the place of Django's.
"""

import gzip
import mimetypes
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from django import template
from django.http import Http404, HttpResponse

from ..formats import takes_gzip

register = template.Library()
HERE = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"
WORTH_PACKING = ("text/", "application/javascript", "image/svg", "application/json")


@cache
def roots():
    """Folders, the first that has a file wins; as they are where a link leads to them."""
    allauth = Path(find_spec("allauth").origin).parent
    return tuple(root.resolve() for root in (HERE, allauth / "mfa" / "static", allauth / "account" / "static"))


@cache
def named(name):
    """(name with hash, content, its type, content packed or None) of a file by its plain name."""
    for root in roots():
        path = (root / name).resolve()
        if path.is_relative_to(root) and path.is_file():
            content = path.read_bytes()
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            kind = "text/javascript" if name.endswith(".js") else kind
            packed = gzip.compress(content, 9, mtime=0) if kind.startswith(WORTH_PACKING) else None
            stem, dot, suffix = name.rpartition(".")
            return f"{stem}.{sha256(content).hexdigest()[:12]}{dot}{suffix}", content, kind, packed
    raise FileNotFoundError(f"there is no static file {name}")


@register.simple_tag(name="static")
def address(name):
    return f"/static/{named(name[:])[0]}"  # a plain str: templates give one of their own kind


def serve(request, stem, hash, suffix):
    """A file under its hashed name; the hash of another content is not found."""
    try:
        name, content, kind, packed = named(f"{stem}.{suffix}")
    except (FileNotFoundError, ValueError):  # ValueError: a null byte
        raise Http404 from None
    if name != f"{stem}.{hash}.{suffix}":
        raise Http404
    packs = packed is not None and takes_gzip(request.META.get("HTTP_ACCEPT_ENCODING", ""))
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    response = HttpResponse(packed if packs else content, content_type=kind + charset)
    response["Cache-Control"], response["Vary"] = FOREVER, "Accept-Encoding"
    if packs:
        response["Content-Encoding"] = "gzip"
    return response
