"""Advice on what is wrong with files, labels and splits, and can be mended."""

from collections.abc import Iterator

from imgcls_ray.reports.phrases import NAMED, SPLIT_NAMES, many, names, pairs, percent
from imgcls_ray.reports.report import HYGIENE, Advice, DataReport, shown

MANY_REJECTED = 0.01
"""Share of the files found above which it is more than something to know."""


def label_conflicts(report: DataReport) -> Iterator[Advice]:
    """The same picture under several labels."""
    groups = report.conflicts
    if groups.groups:
        more = f"; and {groups.groups - NAMED:,} more" if groups.groups > NAMED else ""
        what = "One picture has several labels"
        if groups.groups > 1:
            what = f"{groups.groups:,} pictures have several labels each"
        yield Advice(
            "several labels",
            "act",
            f"{what}, so {groups.pictures:,} files were left out: {pairs(groups.listed)}{more}. "
            "Keep the file with the right label, delete the other, and run again.",
        )


def near_other_label(report: DataReport) -> Iterator[Advice]:
    """Near copies with different labels."""
    groups = report.near_other_label
    if groups.groups:
        more = f"; and {groups.groups - NAMED:,} more" if groups.groups > NAMED else ""
        kinds = (
            "One group of almost equal pictures has"
            if groups.groups == 1
            else f"{groups.groups:,} groups of almost equal pictures have"
        )
        yield Advice(
            "almost equal, other label",
            "act",
            f"{kinds} different labels: {pairs(groups.listed)}{more}. "
            "Look at them side by side: one label of each is probably wrong.",
        )


def given_leaks(report: DataReport) -> Iterator[Advice]:
    """Pictures left out because of near copies, or of their group, in other splits."""
    leaks = report.leaks
    ties = leaks.ties_left_out
    for number, what in (
        (leaks.near_left_out, "an almost equal one"),
        (leaks.group_left_out, "another one of the same group"),
    ):
        if number:
            yield Advice(
                "leaks",
                "act",
                f"{many(number, 'picture')} {'was' if number == 1 else 'were'} left out because {what} is in another "
                "split of the data as it was given, so accuracies measured on those splits before were too good.",
            )
    if ties:
        yield Advice(
            "leaks",
            "know",
            f"{many(ties, 'picture')} {'was' if ties == 1 else 'were'} left out because each is almost equal to "
            "pictures of two splits, and pictures that are placed already do not move.",
        )


def absent(report: DataReport) -> Iterator[Advice]:
    """Classes without pictures, in all or in one split."""
    empty = [entry.label for entry in report.classes if not entry.used]
    if empty:
        yield Advice(
            "empty class",
            "act",
            f"{names(empty, len(empty))} {'has' if len(empty) == 1 else 'have'} no picture that can be used, so "
            "the model can never learn it: add pictures or take the class away.",
        )
    for split, name in SPLIT_NAMES.items():
        gone = [entry.label for entry in report.absent if entry.split == split and entry.label not in empty]
        if gone:
            means = "it can't be learned" if split == "train" else "nothing will be known of how well it is told"
            yield Advice(
                "class missing in a split",
                "act",
                f"{names(gone, len(gone))} {'has' if len(gone) == 1 else 'have'} no picture in the {name} split: "
                f"{means if len(gone) == 1 else means.replace('it ', 'they ').replace('is told', 'are told')}. "
                "Move some pictures there, or let the split be made for you.",
            )


def rejected(report: DataReport) -> Iterator[Advice]:
    """Files that can't be used, for whatever reason but those of hygiene."""
    causes = [cause for cause in report.causes if cause.reason not in HYGIENE]
    number, found = sum(cause.count for cause in causes), report.counts.found
    if number:
        reasons = "; ".join(f"{shown(cause.reason)}, {cause.count:,}" for cause in causes[:NAMED])
        more = f"; and {many(len(causes) - NAMED, 'more reason')}" if len(causes) > NAMED else ""
        first = shown(causes[0].examples[0].path)
        yield Advice(
            "left out",
            "act" if number > MANY_REJECTED * found else "know",
            f"{many(number, 'file')} of {found:,} ({percent(number, found)}) can't be used: {reasons}{more}. "
            f"{'It is' if number == 1 else 'The first is'} {first}.",
        )


def placeholders(report: DataReport) -> Iterator[Advice]:
    """Pictures whose files say that they may be none of the class: one of its format, or far fewer bytes than usual."""
    odd = [entry for entry in report.odd if {"format", "bytes"} & set(entry.kinds) and "flat" not in entry.kinds]
    if not odd:
        return
    paths = [entry.picture.path for entry in odd]
    usual = report.formats[0].name
    why = []
    if any("format" in entry.kinds for entry in odd):
        why.append(f"not {usual} as the other files")
    if any("bytes" in entry.kinds for entry in odd):
        why.append("almost empty for its size" if len(odd) == 1 else "almost empty for their size")
    one = len(odd) == 1
    yield Advice(
        "perhaps no picture of its class",
        "act",
        f"{names(paths, len(paths))} {'is' if one else 'are'} {' and '.join(why) if one else ' or '.join(why)}: look "
        f"whether {'it shows' if one else 'they show'} what the label says, for such files are often placeholders from "
        "the web or blank.",
    )


def flat(report: DataReport) -> Iterator[Advice]:
    """Pictures of one even tone."""
    if report.flat:
        paths = [entry.picture.path for entry in report.odd if "flat" in entry.kinds]
        one = report.flat == 1
        yield Advice(
            "one even tone",
            "act",
            f"{many(report.flat, 'picture')} {'shows' if one else 'show'} one even tone and nothing else: "
            f"{names(paths, report.flat)}. Take {'it' if one else 'them'} out, unless the class looks like that.",
        )
