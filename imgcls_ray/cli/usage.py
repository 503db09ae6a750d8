"""A command line that can't be parsed, told in one sentence."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from typer.exceptions import TyperException

from imgcls_ray.errors import SettingsError, nearest


def check_given(arguments: Sequence[str]) -> None:
    """Refuse an empty argument: as a folder it would mean the current one.

    Raises:
        SettingsError: there is one.
    """
    for before, argument in zip(("imgcls", *arguments), arguments, strict=False):
        option, given, value = argument.partition("=")
        if not argument or (option.startswith("--") and given and not value):
            place = option or before
            raise SettingsError(
                f"An argument is a text of at least one letter; received an empty one {'for' if option else 'after'} "
                f"'{place}': is a variable of the shell not set?"
            )


def explain(error: TyperException) -> str:
    """What was typed, why it can't be, and where the right way is written."""
    context = getattr(error, "ctx", None)
    fault = _fault(error, context)
    return f"{fault} (see '{context.command_path} --help')." if context else f"{fault}."


def _fault(error: TyperException, context: Any) -> str:
    # The parser's classes of errors are private: each is known by what it carries.
    command = context.command_path if context else "imgcls"
    param = getattr(error, "param", None)
    if param is not None:
        name = param.opts[0] if param.param_type_name == "option" else param.metavar or param.name.upper()
        if error.__cause__ is None:
            return f"'{command}' needs {name}, {_first_lower(param.help or 'which is required')}"
        return f"The value of {name} can't be used: {_value_fault(error)}"
    option = getattr(error, "option_name", None)
    if option and error.message.startswith("No such option"):
        known = [name for param in context.command.params for name in param.opts] if context else []
        return f"'{command}' has no option '{option}'{nearest(option, [*known, '--help'])}"
    verbs = getattr(context.command, "commands", None) if context else None
    if verbs and error.message.startswith("No such command"):
        typed = error.message.split("'")[1]
        return f"There is no command '{typed}'{nearest(typed, verbs) or '; commands are ' + ', '.join(verbs)}"
    return error.format_message().rstrip(".")


def _value_fault(error: TyperException) -> str:
    cause = error.__cause__
    received = f"; received '{cause.errors()[0]['input']}'" if isinstance(cause, ValidationError) else ""
    return _first_lower(error.message) + received


def _first_lower(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".")
