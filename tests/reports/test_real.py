"""The reports of real data sets name what is odd in them."""

import hashlib
from pathlib import Path

import pytest

from imgcls_ray.config import PreprocessSettings
from imgcls_ray.data.hygiene import settle
from imgcls_ray.data.labels import Labels
from imgcls_ray.data.manifest import ManifestRow
from imgcls_ray.data.pixels import PixelOps, open_picture, read_header
from imgcls_ray.data.similarity import look_of
from imgcls_ray.data.sources.base import LocalReader
from imgcls_ray.reports.data import data_report
from imgcls_ray.reports.layout import data_page
from imgcls_ray.reports.looks import look_for_gray
from imgcls_ray.reports.report import DataReport

OPS = PixelOps(224, 224, "color")


def report_of(folder: Path) -> DataReport:
    """The report of a folder per class, as preprocess would have it made."""
    rows = []
    for path in sorted(folder.glob("*/*")):
        data = path.read_bytes()
        header, look = read_header(data), look_of(open_picture(data, OPS))
        rows.append(
            ManifestRow(
                path=f"{path.parent.name}/{path.name}",
                label=path.parent.name,
                split=None,
                sha256=hashlib.sha256(data).hexdigest(),
                width=header.width,
                height=header.height,
                bytes=len(data),
                status="used",
                phash=look.phash,
                signature=look.signature,
            )
        )
    rows = settle(rows, PreprocessSettings(), {})
    reader = LocalReader(str(folder))
    gray = look_for_gray(reader, [row for row in rows if row.status == "used"])
    report = data_report(rows, Labels.of(row.label for row in rows), OPS, gray)
    assert len(data_page(report, reader, folder.name)) < 3_000_000
    return report


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hymenoptera", ["ants/imageNotFound.gif is not JPEG", "width to height goes from 0.62 to 3.4"]),
        (
            "trashnet",
            [
                "glass/glass115.jpg and metal/metal91.jpg",
                "glass/glass176.jpg and plastic/plastic152.jpg",
                "glass/glass389.jpg and plastic/plastic332.jpg",
                "trash has 81 pictures",
                "(338 to 81)",
                "All pictures are 512x384",
            ],
        ),
        (
            "flowers5",
            [
                "rose/15922772266_1167a06620.jpg and tulip/15922772266_1167a06620.jpg",
                "2 files are exact copies",
                "sunflower/14889392928_9742aed45b_m.jpg and sunflower/15066430311_fb57fa92b0_m.jpg",
                "27 of 600 pictures of dandelion are black and white, but only 14 of the 2,396 others",
                "pictures are almost equal to another",
            ],
        ),
    ],
)
def test_the_oddities_of_real_data_are_named(test_data: Path, name: str, said: list[str]) -> None:
    if not (test_data / name).is_dir():
        pytest.skip(f"{name} is not among the data sets")
    advice = " ".join(report_of(test_data / name).sentences)
    for words in said:
        assert words in advice
