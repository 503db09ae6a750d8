"""Reading pictures out of a multipart request."""

from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serve.errors import RequestRefused

FIELD = "img"
_MOST_PARTS = 1000


async def read_form(request: Request) -> list[bytes]:
    """The files in the field `img`, at least one, as bytes.

    Raises:
        RequestRefused: 400 not parseable, 422 no file, 413 too many bytes.
    """
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary")
    if not boundary:
        raise RequestRefused(400, "The form can't be read: its Content-Type names no boundary.")
    form = _Form()
    # Starlette's own parser puts each piece through a temporary file, which takes as long as all else of a request; the
    # body is bounded (serve.guard.limits), so its pieces may stay in memory.
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin,
                "on_header_field": form.header_name,
                "on_header_value": form.header_value,
                "on_header_end": form.header_end,
                "on_headers_finished": form.headers_end,
                "on_part_data": form.data,
                "on_part_end": form.end,
            },
        )
        async for chunk in request.stream():
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise RequestRefused(400, "The form can't be read: it is no valid multipart/form-data.") from error
    if not form.files:
        raise RequestRefused(422, f"The form has no file in the field '{FIELD}'; send a picture there.")
    return form.files


@dataclass
class _Form:
    """What the parser tells of a form, in the order in which it stands there."""

    files: list[bytes] = field(default_factory=list)
    """Those in the field `img`."""
    _parts: int = 0
    _name: bytes = b""
    _value: bytes = b""
    _disposition: bytes = b""
    _pieces: list[bytes] = field(default_factory=list)
    _wanted: bool = False

    def begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise RequestRefused(400, f"The form can't be read: it may have at most {_MOST_PARTS:,} parts.")
        self._disposition, self._pieces = b"", []

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise RequestRefused(400, "The form can't be read: a part of it has no name in its Content-Disposition.")
        self._wanted = options[b"name"] == FIELD.encode() and b"filename" in options

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self._pieces.append(data[start:end])

    def end(self) -> None:
        if self._wanted:
            self.files.append(b"".join(self._pieces))
