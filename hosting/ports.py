"""Which TCP ports of the loopback interface are taken, and by whom."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

PROC = Path("/proc")
LOOPBACK = "127.0.0.1"
LISTEN = "0A"
UNSEEN = "a process that cannot be seen from here"


def owner(port: int) -> str | None:
    """Who listens on a port of 127.0.0.1, as in "python (pid 42)"; None: it is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return _holder(port) or (UNSEEN if error.errno == errno.EADDRINUSE else None)
    return None


def _holder(port: int) -> str | None:
    """The process behind the listening socket, None where there is no such socket in this network namespace."""
    for inode, user in _listeners(port):
        pids = sorted(_pids(inode))
        if pids:
            return f"{_name(pids[0])} (pid {pids[0]})"
        return UNSEEN if user == os.getuid() else "another user's process"
    return None


def _listeners(port: int) -> Iterator[tuple[str, int]]:
    """Inode and user id of each listening socket that keeps a port of 127.0.0.1."""
    for table in ("tcp", "tcp6"):
        for line in _lines(PROC / "net" / table)[1:]:
            fields = line.split()
            address, _, hex_port = fields[1].partition(":")
            if fields[3] == LISTEN and int(hex_port, 16) == port and _covers_loopback(_address(address)):
                yield fields[9], int(fields[7])


def _address(text: str) -> IPv4Address | IPv6Address:
    """An address as /proc/net/tcp writes it: words of 32 bits in the machine's byte order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return ip_address(struct.pack(f"={len(words)}I", *words))


def _covers_loopback(address: IPv4Address | IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address.is_unspecified or str(mapped or address) == LOOPBACK


def _pids(inode: str) -> Iterator[int]:
    """Processes that hold a socket, of those whose files may be seen."""
    for process in PROC.iterdir():
        if process.name.isdecimal() and f"socket:[{inode}]" in _links(process / "fd"):
            yield int(process.name)


def _links(folder: Path) -> set[str]:
    """Where the links of a folder lead; none, or not all, where the process ends meanwhile or is another user's."""
    links = set()
    with suppress(OSError):
        for path in folder.iterdir():
            links.add(os.readlink(path))
    return links


def _name(pid: int) -> str:
    return next(iter(_lines(PROC / str(pid) / "comm")), "a process")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
