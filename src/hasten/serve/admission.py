"""What any request must pass, whatever door it comes through and wherever it goes.

Owns three checks on its headers: the ``Host`` is one of ours (else a page elsewhere
could reach a local server by DNS rebinding), nothing comes from another site's page, and
the body is JSON of a bounded size. ``guard`` applies them to the application, the
gateway to its own routes; each says a refusal in its own form. Pure.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from hasten.errors import HastenError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hasten.settings import Settings
    from hasten.wire_stores import Stores


class Refusal(NamedTuple):
    """An HTTP status, a word for machines, and the reason."""

    status: int
    code: str
    reason: str


class Admission:
    """The checks, as the settings want them."""

    def __init__(self, settings: Settings) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self._hosts = {"localhost", settings.host.lower(), *map(str.lower, settings.allowed_hosts)}

    def refusal(self, method: str, headers: Mapping[str, str]) -> Refusal | None:
        """Return why a request with these headers, their names in lower case, may not pass."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            reason = f"this server does not answer to the host {host[:100]!r}; see allowed_hosts"
            return Refusal(421, "misdirected", reason)
        origin = headers.get("origin")
        if origin is not None and _authority(origin) != host.lower():
            reason = f"requests from pages of {origin[:100]!r} are refused"
            return Refusal(403, "cross_origin", reason)
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            reason = "requests from pages of another site are refused"
            return Refusal(403, "cross_origin", reason)
        return self._body_refusal(method, headers)

    def _body_refusal(self, method: str, headers: Mapping[str, str]) -> Refusal | None:
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.max_body_bytes:
            reason = f"the body may have {self.max_body_bytes} bytes at most"
            return Refusal(413, "too_large", reason)
        has_body = length != "0" or "transfer-encoding" in headers
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if has_body and method == "POST" and content_type != "application/json":
            reason = f"send application/json, not {content_type[:100] or 'an unnamed type'!r}"
            return Refusal(415, "unsupported_media_type", reason)
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._hosts or is_loopback(name)


def _authority(origin: str) -> str:
    """Return the host and port of an origin; nothing for what is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address, can only mean this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def close_if_open(stores: Stores) -> None:
    """Close the stores of a server to be that would let anyone in.

    Raises ``SettingsError`` then, and ``StoreError`` when its keys cannot be read.
    """
    try:
        refuse_open_bind(stores.settings.host, has_keys=await stores.keys.any())
    except HastenError:
        await stores.close()
        raise


def refuse_open_bind(host: str, *, has_keys: bool) -> None:
    """Refuse to serve beyond this machine while anyone would be let in.

    Raises ``SettingsError``.
    """
    if not has_keys and not is_loopback(host):
        message = (
            f"refusing to listen on {host!r} without keys: anyone could call; "
            "make one with 'hasten keys create', or bind 127.0.0.1"
        )
        raise SettingsError(message)
