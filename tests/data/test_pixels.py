import io
import warnings
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from imgcls_ray.data.pixels import Header, PixelOps, decode, fitted, open_picture, read_header
from imgcls_ray.errors import ImageError

COLOR = PixelOps(24, 32, "color")
GRAY = PixelOps(24, 32, "grayscale")
PLAIN: dict[str, Any] = {"PNG": {"compress_level": 1}}


def smooth(height: int = 48, width: int = 64) -> np.ndarray:
    """A picture of gradients, no two corners alike: what JPEG and resizing keep well."""
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    return np.stack([255 * x, 255 * y, 255 * (1 - x) * y], axis=-1).astype(np.uint8)


def encode(image: np.ndarray | Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("ops", [COLOR, GRAY])
def test_every_format_gives_the_same_picture(format: str, ops: PixelOps) -> None:
    options = {"quality": 95} if format in ("JPEG", "WEBP") else {}
    data = encode(smooth(), format, **options)
    assert read_header(data) == Header(format, 64, 48)
    pixels = decode(data, ops)
    assert pixels.shape == ops.shape
    assert pixels.dtype == np.uint8
    reference = (
        Image.fromarray(smooth()).convert("RGB" if ops.channels == 3 else "L").resize((32, 24), Image.Resampling.BOX)
    )
    tolerance = 16 if format == "GIF" else 5  # a GIF has 256 colours
    assert np.abs(pixels.astype(int) - np.asarray(reference).reshape(ops.shape)).mean() < tolerance


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("size", [(48, 64), (480, 640)])  # the second is scaled inside the JPEG decoder
def test_all_eight_exif_orientations_are_applied(format: str, turn: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encode(smooth(*size), format, exif=exif, **({"quality": 95} if format in ("JPEG", "WEBP") else {}))
    upright = (
        ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB").resize((32, 24), Image.Resampling.BOX)
    )
    difference = np.abs(decode(data, COLOR).astype(int) - np.asarray(upright))
    assert difference.mean() < 3
    assert difference.max() < 25


@pytest.mark.parametrize("turn", [0, 9, 65535])
def test_an_impossible_orientation_is_ignored(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    assert np.array_equal(decode(encode(smooth(), "JPEG", exif=exif), COLOR), decode(encode(smooth(), "JPEG"), COLOR))


@pytest.mark.parametrize("size", [(24, 32), (25, 33), (47, 65), (48, 64), (96, 128), (191, 300), (200, 256), (800, 30)])
def test_dct_scaling_never_goes_below_the_wanted_size(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = simplejpeg.decode_jpeg

    def spy(*args: Any, **kwargs: Any) -> np.ndarray:
        seen.append(real(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(simplejpeg, "decode_jpeg", spy)
    decode(encode(smooth(*size), "JPEG"), COLOR)
    height, width = seen[0].shape[:2]
    factor = size[0] / height
    assert round(factor) in (1, 2, 4, 8)
    assert height == -(-size[0] // round(factor))
    assert height >= min(24, size[0])
    assert width >= min(32, size[1])
    larger = 2 * round(factor)
    assert larger == 16 or size[0] < 24 * larger or size[1] < 32 * larger, "a smaller picture would have done"


def test_height_comes_first() -> None:
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 150:] = 255
    pixels = decode(encode(image, "PNG"), PixelOps(10, 40, "color"))
    assert pixels.shape == (10, 40, 3)
    assert pixels[:, :20].max() == 0
    assert pixels[:, 20:].min() == 255


def test_shrinking_averages_and_one_side_may_grow() -> None:
    image = np.zeros((64, 8, 3), np.uint8)
    image[::2] = 200  # stripes of one pixel: without averaging they would alias
    assert np.abs(decode(encode(image, "PNG"), PixelOps(8, 16, "color")).astype(int) - 100).max() <= 1


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_decoding_is_opening_then_fitting(resize: Any, format: str) -> None:
    ops = PixelOps(24, 32, "color", resize)
    data = encode(smooth(97, 301), format)
    assert np.array_equal(decode(data, ops), fitted(open_picture(data, ops), ops))


@pytest.mark.parametrize("colorspace", ["color", "grayscale"])
def test_crop_keeps_the_proportions_and_the_middle(colorspace: Any) -> None:
    image = np.zeros((60, 200, 3), np.uint8)
    image[:, 70:130] = 255  # the middle third; a square of 60 is what is left of it
    for upright in (image, image.swapaxes(0, 1)):
        pixels = decode(encode(upright, "PNG"), PixelOps(30, 30, colorspace, "crop"))
        assert pixels.shape == (30, 30, 3 if colorspace == "color" else 1)
        assert pixels.min() == 255


@pytest.mark.parametrize("colorspace", ["color", "grayscale"])
def test_pad_keeps_the_proportions_and_all_of_the_picture(colorspace: Any) -> None:
    image = np.full((60, 200, 3), 255, np.uint8)
    wide = decode(encode(image, "PNG"), PixelOps(50, 50, colorspace, "pad"))
    assert wide.shape == (50, 50, 3 if colorspace == "color" else 1)
    rows = wide[:, 25, 0]
    assert list(np.flatnonzero(rows)) == list(range(17, 32))  # 15 rows of 50 x 60 / 200, in the middle
    assert rows[17:32].min() == 255
    tall = decode(encode(image.swapaxes(0, 1), "PNG"), PixelOps(50, 50, colorspace, "pad"))
    assert np.array_equal(tall, wide.swapaxes(0, 1))


def test_a_thread_of_a_picture_still_has_a_pixel_when_padded() -> None:
    pixels = decode(encode(np.full((1, 2000, 3), 255, np.uint8), "PNG"), PixelOps(10, 10, "color", "pad"))
    assert pixels[4].min() == 255
    assert pixels.sum() == 10 * 3 * 255


@pytest.mark.parametrize(
    ("resize", "size", "factor"),
    [
        ("stretch", (3000, 4000), 8),
        ("crop", (3000, 4000), 8),
        ("pad", (3000, 4000), 8),
        ("stretch", (230, 4000), 1),
        ("crop", (230, 4000), 1),
        ("pad", (230, 4000), 8),
        ("pad", (4000, 230), 8),
        ("pad", (500, 300), 2),
        ("crop", (500, 300), 1),
    ],
)
def test_each_mode_scales_in_the_decoder_as_far_as_it_may(resize: Any, size: tuple[int, int], factor: int) -> None:
    data = encode(np.zeros((*size, 3), np.uint8), "JPEG")
    pixels = open_picture(data, PixelOps(224, 224, "color", resize))
    assert pixels.shape == (-(-size[0] // factor), -(-size[1] // factor), 3)


@pytest.mark.parametrize("colorspace", ["color", "grayscale"])
def test_scaling_in_the_decoder_is_off_by_half_a_pixel_at_most(colorspace: Any) -> None:
    for side in range(768, 776):
        data = encode(smooth(side, side + 8), "JPEG")
        height, width, _ = open_picture(data, PixelOps(96, 96, colorspace)).shape
        assert abs(height - side / 8) <= 0.5
        assert abs(width - side / 8 - 1) <= 0.5


def test_gray_is_bt601_luma_in_every_format() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    ops = PixelOps(16, 16, "grayscale")
    assert np.all(decode(encode(red, "PNG"), ops) == 76)
    assert np.abs(decode(encode(red, "JPEG", quality=100), ops).astype(int) - 76).max() <= 1


def test_gray_files_become_three_equal_channels() -> None:
    gray = smooth()[..., 0]
    for format in ("PNG", "JPEG"):
        pixels = decode(encode(gray, format), COLOR)
        assert np.array_equal(pixels[..., 0], pixels[..., 2])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_white(mode: str) -> None:
    clear = Image.new("RGBA", (32, 24), (0, 0, 0, 0))
    clear.paste((10, 20, 30, 255), (0, 0, 16, 24))
    data = encode(clear.convert(mode), "PNG") if mode != "P" else encode(clear, "GIF")
    pixels = decode(data, COLOR)
    assert np.all(pixels[:, 17:] == 255)
    assert pixels[:, :15].max() < 40


def test_sixteen_bits_are_scaled_to_eight() -> None:
    deep = np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)
    for format in ("PNG", "TIFF"):
        pixels = decode(encode(deep, format), GRAY)[..., 0]
        assert np.abs(pixels - deep / 257).max() <= 0.51


def test_cmyk_jpegs_are_decoded() -> None:
    for size in ((48, 64), (480, 640)):  # the second is scaled inside the decoder
        for progressive in (False, True):
            image = Image.fromarray(smooth(*size)).convert("CMYK")
            data = encode(image, "JPEG", quality=95, progressive=progressive)
            assert np.abs(decode(data, COLOR).astype(int) - decode(encode(smooth(*size), "PNG"), COLOR)).mean() < 8


def test_adobes_ycck_jpegs_are_decoded() -> None:
    # Adobe's files hold inverted CMYK, whose first three channels were then taken for RGB and made YCbCr.
    ink = 255 - smooth()
    ycc = 255 - np.asarray(Image.fromarray(ink).convert("YCbCr"))  # Pillow inverts as it writes
    black = np.zeros((48, 64, 1), np.uint8)
    image = Image.merge(
        "CMYK",
        [Image.fromarray(np.ascontiguousarray(c)) for c in np.moveaxis(ycc, -1, 0)] + [Image.fromarray(black[..., 0])],
    )
    data = bytearray(encode(image, "JPEG", quality=95, subsampling=0))
    at = data.find(b"\xff\xee\0\x0eAdobe")
    assert at > 0
    assert data[at + 15] == 0
    data[at + 15] = 2  # the transform: YCCK
    assert np.abs(decode(bytes(data), COLOR).astype(int) - decode(encode(smooth(), "PNG"), COLOR)).mean() < 4


def test_sixteen_bits_with_a_transparent_value() -> None:
    deep = np.full((24, 32), 30000, np.uint16)
    deep[:, 16:] = 1000
    pixels = decode(encode(deep, "PNG", transparency=1000), GRAY)
    assert np.all(pixels[:, 16:] == 255)
    assert np.all(pixels[:, :16] == 117)


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_each_kind_of_png_with_and_without_transparency(mode: str, transparent: bool) -> None:
    image = Image.new("RGB", (32, 24), "white")
    image.paste("black", (0, 0, 16, 24))
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    clear = {"1": 0, "L": 0, "P": image.getpixel((0, 0)), "RGB": (0, 0, 0)}[mode]
    pixels = decode(encode(image, "PNG", **({"transparency": clear} if transparent else {})), COLOR)
    assert np.all(pixels[:, :15] == (255 if transparent else 0))
    assert np.all(pixels[:, 17:] == 255)


def test_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (32, 24), color) for color in ("red", "blue")]
    for format in ("GIF", "TIFF", "WEBP", "PNG"):
        data = encode(frames[0], format, save_all=True, append_images=frames[1:])
        assert np.abs(decode(data, COLOR)[12, 16].astype(int) - [255, 0, 0]).max() < 6


def test_the_first_frame_of_an_animation_is_the_one_that_pillow_shows() -> None:
    frames = [Image.fromarray(smooth()), Image.new("RGB", (64, 48), "blue")]
    for options in ({"lossless": True}, {"quality": 80}):
        data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], **options)
        shown = encode(Image.open(io.BytesIO(data)).convert("RGB"), "PNG")
        assert np.array_equal(decode(data, COLOR), decode(shown, COLOR))


@pytest.mark.parametrize("size", [(100, 160), (2100, 2100)])  # large ones are decoded another way
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_of_any_size_and_with_transparency(size: tuple[int, int], mode: str) -> None:
    image = Image.fromarray(smooth(*size)).convert(mode)
    if mode == "RGBA":
        image.paste((1, 2, 3, 0), (0, 0, size[1] // 2, size[0]))
    png = encode(image, "PNG", compress_level=1)
    assert np.array_equal(decode(encode(image, "WEBP", lossless=True, exact=True, method=0), COLOR), decode(png, COLOR))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("turn", [1, 6])
def test_large_pictures_of_any_format_are_made_smaller_in_bands(format: str, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    image = smooth(2055, 2049)
    data = encode(image, format, **({} if format == "BMP" else {"exif": exif}), **PLAIN.get(format, {}))
    seen = open_picture(data, COLOR)
    upright = np.rot90(image, -1) if turn == 6 and format != "BMP" else image
    assert seen.shape == (round(upright.shape[0] / 8), round(upright.shape[1] / 8), 3)
    reference = Image.fromarray(upright).resize((32, 24), Image.Resampling.BOX)
    assert np.abs(fitted(seen, COLOR).astype(int) - np.asarray(reference)).max() <= 2


def test_the_name_of_a_file_is_never_asked_only_its_bytes() -> None:
    with pytest.raises(ImageError, match="not a picture"):
        decode(b"\x00" * 100, COLOR)
    with pytest.raises(ImageError, match="not a picture"):
        decode(b"BM is how this text begins, and it goes on for some time after that.", COLOR)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("part", [0.02, 0.1, 0.3, 0.5, 0.9])
def test_truncated_pictures_are_refused(format: str, part: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    data = encode(noise, format)
    with pytest.raises(ImageError) as error:
        decode(data[: int(len(data) * part)], COLOR)
    assert error.value.reason == "truncated or damaged"


def test_a_jpeg_without_its_end_is_refused() -> None:
    data = encode(smooth(), "JPEG")
    with pytest.raises(ImageError, match="truncated or damaged"):
        decode(data[:-2], COLOR)


def test_a_jpeg_with_bytes_after_its_end_is_fine() -> None:
    data = encode(smooth(), "JPEG")
    assert np.array_equal(decode(data + b"trailing", COLOR), decode(data, COLOR))


def test_an_empty_file_is_called_so() -> None:
    with pytest.raises(ImageError) as error:
        decode(b"", COLOR)
    assert error.value.reason == "empty file"


@pytest.mark.parametrize(
    ("data", "name"), [(b"\0\0\0\x1cftypavif", "AVIF"), (b"\0\0\0\x1cftypheic", "HEIC"), (b"%PDF-1.7", "PDF")]
)
def test_known_but_unsupported_formats_are_named(data: bytes, name: str) -> None:
    with pytest.raises(ImageError) as error:
        decode(data + bytes(50), COLOR)
    assert error.value.reason == f"unsupported format {name}"


def test_float_tiffs_are_refused_by_name() -> None:
    with pytest.raises(ImageError, match="unsupported format TIFF with 32-bit pixels"):
        decode(encode(np.zeros((24, 32), np.float32), "TIFF"), COLOR)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP"])
def test_too_many_pixels_are_refused_before_decoding(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(smooth(), format)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *a, **k: pytest.fail("decoded"))
    with pytest.raises(ImageError) as error:
        decode(data, PixelOps(24, 32, "color", max_pixels=3000))
    assert error.value.reason == "too many pixels (64x48; max_pixels is 3000)"


def test_our_limit_replaces_the_one_of_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # above it Pillow warns, at twice of it Pillow refuses
    for format in ("PNG", "BMP", "JPEG"):
        assert decode(encode(smooth(), format), COLOR).shape == (24, 32, 3)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"])
def test_damaged_bytes_raise_image_errors_and_nothing_else(format: str) -> None:
    rng = np.random.default_rng(1)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if format in ("BMP", "GIF") else {"exif": exif}
    whole = encode(smooth(), format, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(150):
            data = bytearray(whole)
            for position in rng.integers(8, min(len(data), 400), 6):
                data[position] = rng.integers(256)
            try:
                assert decode(bytes(data), PixelOps(24, 32, "color", max_pixels=10_000_000)).shape == (24, 32, 3)
            except ImageError as error:
                assert error.reason


def test_pixel_operations_survive_json() -> None:
    ops = PixelOps(120, 160, "grayscale", "pad", max_pixels=1000)
    assert ops.shape == (120, 160, 1)
    assert PixelOps.from_json(ops.to_json()) == ops


@pytest.mark.parametrize(
    "change", [{"height": 0}, {"height": "96"}, {"colorspace": "cmyk"}, {"resize": "zoom"}, {"zoom": 2}]
)
def test_wrong_pixel_operations_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="received"):
        PixelOps.from_json({**COLOR.to_json(), **change})
