"""Which addresses may be asked, and a connection to exactly the address that was checked."""

import ipaddress
import re
import socket
from urllib.parse import SplitResult, quote, urlsplit

from imgcls_ray.data.collect.errors import Again, FetchError

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
_GLOBAL = ipaddress.IPv6Network("2000::/3")
"""What IANA gives out of IPv6; Python also calls global what lies outside, as ::127.0.0.1 and fec0::1 do."""
_SPECIAL = (
    ipaddress.ip_network("192.0.0.0/24"),  # IETF protocol assignments (RFC 6890)
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4, given up (RFC 7526)
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's services to its own machines
    ipaddress.ip_network("3fff::/20"),  # documentation (RFC 9637)
)
"""Ranges that Python 3.11 calls global and nobody serves pictures from."""
_PATH = "%/:=&?~#+!$,;'@()*[]|"


def split_url(url: str) -> SplitResult:
    """The parts of an http or https address, with what is not ASCII quoted; the fragment is dropped.

    Raises:
        FetchError: another scheme, no host, a user's name in it, or no address at all.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
        name = _ascii(host or "")
        if not re.fullmatch(r"[^\x00-\x1f\x7f]+", url.strip()) or not re.fullmatch(r"[\w.:%-]*", name):
            raise ValueError("signs that no address has")
        path, query = quote(parts.path, _PATH) or "/", quote(parts.query, _PATH)  # refuses half a character
    except (ValueError, UnicodeError):
        raise FetchError("no http address", Again.NEVER) from None
    if parts.scheme not in ("http", "https") or not name or parts.username is not None:
        raise FetchError("no http address", Again.NEVER)
    place = f"[{name}]" if ":" in name else name
    place = f"{place}:{port}" if port else place
    return SplitResult(parts.scheme, place, path, query, "")


def port_of(parts: SplitResult) -> int:
    """The TCP port, by default that of the scheme."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def may_be_asked(address: str) -> bool:
    """Whether an IP address is a public one, and no IPv6 form of another (mapped, 6to4, Teredo, NAT64)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return may_be_asked(str(inner))
        if ip not in _GLOBAL:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _SPECIAL)


def resolve(host: str, port: int, allow_private: bool) -> list[str]:
    """The addresses of `host` that may be asked, in the system's order.

    Raises:
        FetchError: the name is unknown, or all its addresses are private ones.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        again = Again.NOW if getattr(error, "errno", None) == socket.EAI_AGAIN else Again.LATER
        raise FetchError(f"unknown host ({host})", again) from error
    addresses = list(dict.fromkeys(str(where[0]) for *_, where in found))
    allowed = [address for address in addresses if allow_private or may_be_asked(address)]
    if not allowed:
        raise FetchError(f"private address ({host})", Again.LATER)
    return allowed


def connect(addresses: list[str], port: int, timeout: float) -> socket.socket:
    """A connection to the first address that takes one, all tried within `timeout` seconds.

    Names are not looked up again: the second answer of a name server could be another than the one that was checked
    (DNS rebinding).

    Raises:
        OSError: that of the last address.
    """
    each = timeout / len(addresses)
    for address in addresses[:-1]:
        try:
            return socket.create_connection((address, port), each)
        except OSError:
            continue
    return socket.create_connection((addresses[-1], port), each)


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode("ascii")
