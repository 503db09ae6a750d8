"""The command line in this process: its exit code, stdout and stderr."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from imgcls_ray.cli import main


@dataclass(frozen=True)
class Said:
    """What one call of the program said."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line on stderr, when it is a refusal: exit code 2, nothing on stdout, no second line."""
        assert (self.code, self.out) == (2, ""), self
        assert self.err.startswith("imgcls: "), self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.endswith((".\n", "?\n")), self.err
        return self.err.removeprefix("imgcls: ").rstrip("\n")


@pytest.fixture
def imgcls(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Call it like a shell does: `imgcls("run", "folder", "--trials", 3)`."""

    def call(*words: object) -> Said:
        monkeypatch.setattr("sys.argv", ["imgcls", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    return call
