"""If-Match, If-None-Match, If-Modified-Since. (http.html#concurrency, http.html#cread)"""

import re

from .. import errors

ETAG = re.compile(r'(?:W/)?"([^"]*)"')


def etag(version):
    """Weak ETag of a version."""
    return f'W/"{version}"'


def versions_in(header):
    """The version ids named by an If-Match or If-None-Match header; a bare version id is accepted too."""
    return ETAG.findall(header) or [part.strip() for part in header.split(",")]


def require_match(header, row):
    """412 unless the current row (None: absent or deleted) has the version that the client knows."""
    if header is None:
        return
    if row is None:
        raise errors.PreconditionFailed("If-Match was given, and there is no current version to match.")
    if header.strip() != "*" and str(row.version) not in versions_in(header):
        raise errors.PreconditionFailed(
            f"If-Match asks for version {', '.join(versions_in(header))}; the current version is {row.version}."
        )


def not_modified(conditions, version, updated):
    """Does the client already have this version?"""
    if conditions.if_none_match is not None:
        return conditions.if_none_match.strip() == "*" or str(version) in versions_in(conditions.if_none_match)
    if conditions.if_modified_since is not None:
        return updated.replace(microsecond=0) <= conditions.if_modified_since
    return False
