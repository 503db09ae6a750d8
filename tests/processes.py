"""What the processes of a program are and where they listen, read from /proc."""

import socket
from collections.abc import Iterator
from pathlib import Path

LOOPBACK = ("127.", "::1", "::ffff:127.")


def descendants(root: int) -> set[int]:
    """A process and all that it started, as far as none in between has ended."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def naming(text: str) -> set[int]:
    """The processes whose command line has `text` in it."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:
            continue  # it has ended
    return found


def sockets(pids: set[int]) -> set[str]:
    """The inodes of all sockets that these processes hold."""
    inodes = set()
    for pid in pids:
        try:
            links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue  # it has ended
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    return inodes


def listening(pids: set[int]) -> list[str]:
    """The addresses that these processes listen on."""
    ours = sockets(pids)
    return [address for address, inode in _all_listening() if inode in ours]


def _all_listening() -> Iterator[tuple[str, str]]:
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # LISTEN
                raw = bytes.fromhex(fields[1].partition(":")[0])
                words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
                yield socket.inet_ntop(family, words), fields[9]
