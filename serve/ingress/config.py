"""HAProxy's configuration as Ray Serve writes it, made fit to be used.

Ray's template (`ray.serve._private.haproxy_templates`) can't be changed by settings: it opens a page of statistics and
one of figures on all interfaces, lets every user of the machine command HAProxy through a socket, believes the client's
address that a client tells, and sends 500 where HAProxy has no replica to send a request to.
"""

from collections.abc import Iterator
from dataclasses import dataclass

BUSY = "No replica can take this request now; try again in 1 s."
LATE = "The answer took longer than this service allows; try again."
SLOW = "The request did not arrive within the time that this service allows; send a smaller picture or try again."
BROKEN = "The request is no proper HTTP."

_FRONT, _NOTHING = "frontend http_frontend", "backend default_backend"
_PAGES = ("frontend prometheus", "listen stats")
QUEUE_MILLISECONDS = 50
_MARK = "x-imgcls-no-replica"
_LEGAL_ID = r"^[A-Za-z0-9_.:-]{1,128}$"
"""As `serve.refusal.request_id` has it."""


class TemplateChanged(Exception):
    """What Ray wrote is not what this code knows: it is not used, as it might open what must be closed."""


@dataclass
class Section:
    """A part of the configuration: the line that names it, and its own lines."""

    name: str
    lines: list[str]


def closed(text: str, bind: str, seconds_to_send: int, most: int) -> str:
    """`text`, Ray's configuration, with one open port, `bind` (`address:port`), and refusals in JSON.

    A replica is given at most `most` requests at a time. One more waits for `QUEUE_MILLISECONDS` and gets 503: HAProxy
    refuses at a hundredth of what it costs a replica, which answers the others meanwhile.

    A request that does not arrive within `seconds_to_send` (its headers, and its body as far as it fits in HAProxy's
    buffer) gets 408 and never reaches a replica.

    Raises:
        TemplateChanged: there is not just what is expected, so that Ray's template has to be read again.
    """
    sections = [section for section in _sections(text) if section.name not in _PAGES]
    named = {section.name: section for section in sections}
    if missing := [name for name in ("global", "defaults", _FRONT, _NOTHING) if name not in named]:
        raise TemplateChanged(f"no section '{missing[0]}'")
    _global(named["global"])
    _defaults(named["defaults"], seconds_to_send)
    _front(named[_FRONT], bind)
    for section in sections:
        if section.name.startswith("backend ") and section is not named[_NOTHING]:
            _bound(section, most)
    named[_NOTHING].lines = [f"    http-request return {_reply(503, BUSY, 'var(txn.request_id)')}"]
    found = "".join(f"{section.name}\n" + "".join(f"{line}\n" for line in section.lines) for section in sections)
    binds = [line.strip() for line in found.splitlines() if line.split()[:1] == ["bind"]]
    if binds != [f"bind {bind}"]:
        raise TemplateChanged(f"ports that are not known: {binds}")
    return found


def _sections(text: str) -> Iterator[Section]:
    section: Section | None = None
    for line in text.splitlines():
        if line and not line[0].isspace():
            if section:
                yield section
            section = Section(line.strip(), [])
        elif section is not None:
            section.lines.append(line)
    if section:
        yield section


def _global(section: Section) -> None:
    """The socket that commands HAProxy is for its user only; no line goes to a system log that might not be ours."""
    _take(section, "log ", 1)
    [socket] = _take(section, "stats socket ", 1)
    if " mode 666 " not in socket:
        raise TemplateChanged(f"another socket: {socket.strip()}")
    section.lines.append(socket.replace(" mode 666 ", " mode 600 "))


def _defaults(section: Section, seconds_to_send: int) -> None:
    _take(section, "log global", 1)
    _take(section, "option httplog", 1)
    _take(section, "errorfile ", 3)  # its 500 for 502, 503 and 504
    given, made = "var(txn.request_id)", "unique-id"  # the second where no rule has seen the request yet
    section.lines += [
        f"    timeout http-request {seconds_to_send}s",
        "    option http-buffer-request",
        f"    http-error {_reply(400, BROKEN, made)}",
        f"    http-error {_reply(408, SLOW, made)}",
        f"    http-error {_reply(502, BUSY, given)}",
        f"    http-error {_reply(503, BUSY, given)}",
        f"    http-error {_reply(504, LATE, given)}",
    ]


def _front(section: Section, bind: str) -> None:
    """A request has one legal id from here on, and its client's address is the one that the connection comes from."""
    _take(section, "bind ", 1)
    section.lines[:0] = [
        f"    bind {bind}",
        "    unique-id-format %[uuid]",
        "    http-request del-header x-request-id if { req.hdr_cnt(x-request-id) gt 1 }",
        f"    http-request del-header x-request-id unless {{ req.fhdr(x-request-id) -m reg {_LEGAL_ID} }}",
        "    http-request set-header x-request-id %[unique-id] unless { req.hdr(x-request-id) -m found }",
        "    http-request set-var(txn.request_id) req.fhdr(x-request-id)",
        "    http-request set-header X-Forwarded-For %[src]",
        "    http-request del-header X-Forwarded-Proto",
        # Whoever watches over a busy service need not wait behind its clients.
        "    http-request set-priority-class int(-1) if { path /livez /readyz /metrics }",
        # A replica that ended while it answered is as good as none; a 502 of the application's own stays.
        f"    http-after-response set-status 503 if {{ res.hdr({_MARK}) -m found }}",
        f"    http-after-response del-header {_MARK}",
    ]


def _bound(section: Section, most: int) -> None:
    """A queue before each replica of an application; none before Serve's own proxy, the last resort."""
    servers = [line for line in section.lines if line.strip().startswith("server ")]
    if any("maxconn" in line or "timeout queue" in line for line in section.lines):
        raise TemplateChanged(f"a queue of its own in '{section.name}'")
    bounded = {line: f"{line} maxconn {most}" for line in servers if not line.endswith(" backup")}
    section.lines = [bounded.get(line, line) for line in section.lines]
    section.lines.insert(0, f"    timeout queue {QUEUE_MILLISECONDS}ms")


def _take(section: Section, start: str, times: int) -> list[str]:
    """Take the lines that start so out of a section."""
    taken = [line for line in section.lines if line.strip().startswith(start)]
    if len(taken) != times:
        raise TemplateChanged(f"'{start.strip()}' {len(taken)} times in '{section.name}', {times} expected")
    section.lines = [line for line in section.lines if line not in taken]
    return taken


def _reply(status: int, error: str, request_id: str) -> str:
    """A refusal, as `serve.refusal` has it."""
    document = f'{{"success": false, "error": "{error}", "request_id": "%[{request_id}]"}}'
    again = ' hdr Retry-After "1"' if status in (502, 503) else ""
    again += f" hdr {_MARK} 1" if status == 502 else ""
    return (
        f"status {status} content-type application/json lf-string '{document}' hdr X-Request-ID %[{request_id}]{again}"
    )
