"""Reading pictures out of a multipart request."""

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from serve.errors import RequestRefused

FIELD = "img"


class _InMemoryParser(MultiPartParser):
    # The body is bounded (serve.guard.limits), so nothing has to go through a temporary file.
    spool_max_size = 0
    """Zero is SpooledTemporaryFile's word for 'never onto the disk'."""

    def close(self) -> None:
        """Close all files; one whose part has no end is in no form that could be closed."""
        for file in self._files_to_close_on_error:
            file.close()


async def read_form(request: Request) -> list[bytes]:
    """The files in the field `img`, at least one, as bytes.

    Raises:
        RequestRefused: 400 not parseable, 422 no file, 413 too many bytes.
    """
    parser = _InMemoryParser(request.headers, request.stream())
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestRefused(400, f"The form can't be read: {error.message.rstrip('.')}.") from error
    try:
        files = [value for value in form.getlist(FIELD) if isinstance(value, UploadFile)]
        if not files:
            raise RequestRefused(422, f"The form has no file in the field '{FIELD}'; send a picture there.")
        return [await file.read() for file in files]
    finally:
        parser.close()
