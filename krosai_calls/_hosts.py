"""What a host's name or address says of where it is. Pure: nothing is looked up."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

# Names that only a local resolver knows; a name of one label is a container or a host next door.
_PRIVATE_SUFFIXES = ("localhost", "local", "internal", "lan", "home.arpa", "test")
# A name of digits alone, or 0x..., is an address that the system may resolve to anywhere.
_LABEL = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_private(host: str) -> bool:
    """Whether a host is on a network of its owner's: a private address, or a name that only such a one knows."""
    host = host.rstrip(".").lower()
    try:
        return _address(host).is_private
    except ValueError:
        return bool(_LABEL.fullmatch(host)) or host.endswith(tuple(f".{suffix}" for suffix in _PRIVATE_SUFFIXES))


@lru_cache(maxsize=256)
def is_public(host: str) -> bool:
    """Whether a host can be reached by everybody, as far as its name or address says."""
    try:
        address = _address(host.rstrip("."))
    except ValueError:
        return not is_private(host)
    return address.is_global and not address.is_multicast


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address; one that wraps another is the other."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address
