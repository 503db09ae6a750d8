"""The label list: a text file with one class name a line, whose order is that of the classes' numbers."""

from imgcls_ray.data.labels import Labels
from imgcls_ray.data.sources.places import Place
from imgcls_ray.data.sources.rows import decoded
from imgcls_ray.errors import DataError


def read_label_list(place: Place) -> Labels:
    """The classes in the order of their lines.

    Raises:
        DataError: it can't be read, or has a blank line, a repeat, or fewer than 2 names.
    """
    if place.is_folder:
        raise DataError(f"A label list must be a text file with one class name a line; {place.root} is a folder.")
    names = [line.strip() for line in decoded(place.content(), place.root).replace("\r\n", "\n").split("\n")]
    if names[-1] == "":
        names.pop()  # after the last line's end
    seen: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if not name:
            raise DataError(
                f"A label list has no blank lines, for a line's number is the class's; line {number} of {place.root} "
                "is blank: remove it."
            )
        if name in seen:
            raise DataError(
                f"A label list names each class once; '{name}' stands in lines {seen[name]} and {number} of "
                f"{place.root}: remove one."
            )
        seen[name] = number
    if len(names) < 2:
        raise DataError(f"At least 2 classes are needed, a line for each; {place.root} has {len(names)}.")
    return Labels(tuple(names))
