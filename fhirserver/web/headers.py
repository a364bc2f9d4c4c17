"""What every page tells the browser, and takes from it: only our own files, no frame around it, nothing kept; text."""

from django.core.exceptions import BadRequest


def content(forms=()):
    """The policy; forms of the page may lead to further origins."""
    return (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none';"
        f" form-action {' '.join(dict.fromkeys([SELF, *forms]))}"
    )


SELF = "'self'"
ALWAYS = {
    "Content-Security-Policy": content(),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
A_YEAR = "max-age=31536000"


def security_headers(get_response):
    """A view that needs another value sets the header itself, as static files do with Cache-Control."""

    def middleware(request):
        response = get_response(request)
        for name, value in ALWAYS.items():
            response.headers.setdefault(name, value)
        if request.is_secure():
            response.headers.setdefault("Strict-Transport-Security", A_YEAR)
        return response

    return middleware


def only_text(get_response):
    """A field or address with a character that no text has, and PostgreSQL cannot keep, is refused."""

    def middleware(request):
        for given in (request.GET, request.POST):
            if any("\0" in text for name, values in given.lists() for text in (name, *values)):
                raise BadRequest("NUL is no character of a text")
        return get_response(request)

    return middleware
