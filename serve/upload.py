"""Reading pictures out of a multipart request."""

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from serve.errors import RequestRefused

FIELD = "img"


class _InMemoryParser(MultiPartParser):
    # The body is bounded (serve.limits), so nothing has to go through a temporary file.
    spool_max_size = 0
    """Zero is SpooledTemporaryFile's word for 'never onto the disk'."""


async def read_pictures(request: Request, most: int = 1) -> list[bytes]:
    """The files in the field `img`, 1 to `most` of them, as bytes.

    Raises:
        RequestRefused: 415 not multipart/form-data, 400 not parseable, 422 no file or too many, 413 too many bytes.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        received = f"'{kind[:80]}'" if kind else "no content type"
        raise RequestRefused(
            415, f"A request is multipart/form-data with a picture in the field '{FIELD}'; received {received}."
        )
    parser = _InMemoryParser(request.headers, request.stream())
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestRefused(400, f"The form can't be read: {error.message.rstrip('.')}.") from error
    try:
        files = [value for value in form.getlist(FIELD) if isinstance(value, UploadFile)]
        if not files:
            raise RequestRefused(422, f"The form has no file in the field '{FIELD}'; send one picture there.")
        if len(files) > most:
            raise RequestRefused(422, f"The form has more than {most} file in the field '{FIELD}'; send one at a time.")
        return [await file.read() for file in files]
    finally:
        await form.close()
