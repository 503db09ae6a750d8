"""Groups of flags that several verbs take: a group is declared once, as a dataclass, and unfolds into its flags."""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

import typer


def option(metavar: str, text: str, default: str | bool, panel: str, name: str | None = None) -> Any:
    """What the page of help says of one flag; a flag that is not called as its field has a `name`."""
    names = (name,) if name else ()
    return typer.Option(*names, metavar=metavar, help=text, show_default=default, rich_help_panel=panel)


def unfolded(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb as the command line calls it.

    Each parameter whose type is a dataclass becomes one flag per field, in its place; what is typed comes back to the
    verb as that dataclass.
    """
    groups: dict[str, Any] = {name: kind for name, kind in get_type_hints(verb).items() if is_dataclass(kind)}

    @wraps(verb)
    def called(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        verb(**given)

    flat: list[inspect.Parameter] = []
    for parameter in inspect.signature(verb).parameters.values():
        group = groups.get(parameter.name)
        flat += [parameter] if group is None else inspect.signature(group).parameters.values()
    by_name = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in flat]
    called.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in by_name}
    return called
