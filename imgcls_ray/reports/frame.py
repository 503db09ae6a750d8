"""The frame that all pages share: they need nothing else, no network and no script."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from imgcls_ray.reports.charts import byte_size
from imgcls_ray.reports.phrases import percent
from imgcls_ray.reports.report import shown


def template(name: str) -> Template:
    """A page's template, which extends `frame.html`: it gives `kind`, `title` and the blocks top, main and foot.

    Texts are escaped, and a name that is not given is an error.
    """
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("imgcls_ray.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shown=shown, byte_size=byte_size, thousands=lambda number: f"{number:,}")
    environment.globals.update(percent=percent)
    return environment
