"""The model card: what a bundle was made from, how good it is and what it can't do."""

from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from pydantic import Field, FiniteFloat

from imgcls_ray.config import Settings
from imgcls_ray.inference.base import EngineName, Precision
from imgcls_ray.inference.calibration import Calibration

PACKAGES = ("imgcls-ray", "tensorflow", "keras", "numpy")

LIMITS = (
    "It knows the classes above and no other: a picture of something else gets one of these names, often with a high "
    "probability.",
    "Pictures unlike the training data (another camera, light, background or way of framing) are answered wrong more "
    "often than the figures say, and just as confidently.",
    "The figures are over all pictures of a split; a class with few pictures may do much better or worse than they.",
    "Unfairness in the data is learned with the rest: check it for the people and places it will be used on.",
)

_UNCALIBRATED = (
    "The probabilities are the network's softmax and were not calibrated: 0.9 need not be right nine in ten."
)


def _calibrated(calibration: Calibration) -> str:
    if not calibration.pictures:
        return _UNCALIBRATED
    return (
        f"The probabilities are calibrated on {calibration.pictures} validation pictures (temperature "
        f"{calibration.temperature:.2f}): of pictures unlike them 0.9 need not be right nine times in ten. Answers "
        f"marked `unsure` are those below the probability at which {calibration.risk:.0%} of these pictures' answers "
        "were wrong."
    )


def installed_versions() -> dict[str, str]:
    """The versions of the packages that a bundle's answers depend on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


class CardMember(Settings):
    """A trial of an ensemble."""

    trial: int
    weight: FiniteFloat
    """Its share of the average."""
    temperature: FiniteFloat
    """Its logits are divided by it before that."""
    settings: dict[str, str | int | float | bool | None]


class Inference(Settings):
    """What answers for a bundle, and how exactly: a choice that is made once, with the difference that was seen."""

    engine: EngineName = "tensorflow"
    precision: Precision = "float32"
    difference: FiniteFloat = Field(default=0.0, ge=0)
    """Largest difference of a golden picture's probability from TensorFlow's in float32."""


class Card(Settings):
    """Written beside the model as `card.json` for programs and `card.md` for people."""

    name: str
    """The model's name in the registry."""
    study: str
    settings: dict[str, str | int | float | bool | None]
    """The best trial's settings."""
    members: tuple[CardMember, ...] = ()
    """The trials whose probabilities are averaged, the heaviest first; none where the model is the best trial's."""
    metrics: dict[str, FiniteFloat]
    """Figures by name, such as `val_accuracy`, `test_accuracy`, `test_f1_macro`; `..._before` is before calibration."""
    data_name: str
    data_fingerprint: str
    counts: dict[str, int]
    """Pictures: `found`, `used`, `rejected`, `duplicates`, or by split."""
    inference: Inference = Inference()
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: dict[str, str] = Field(default_factory=installed_versions)

    def to_markdown(self, classes: tuple[str, ...], calibration: Calibration) -> str:
        """The card as a page."""
        figures = {key: f"{value:.4f}" for key, value in self.metrics.items()}
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        limits = "\n".join(f"- {limit}" for limit in (*LIMITS, _calibrated(calibration)))
        names = ", ".join(f"`{_plain(name)}`" for name in classes)
        return (
            f"# {_plain(self.name)}\n\n"
            f"An image classifier with {len(classes)} classes: {names}.\n"
            f"Made on {self.created} by the study `{_plain(self.study)}`.\n\n"
            f"## Data\n\n`{_plain(self.data_name)}`, fingerprint `{self.data_fingerprint}`; pictures: {counts}.\n\n"
            f"## Figures\n\n{_table('figure', figures)}\n"
            "The best of many trials was chosen on the validation pictures, so its validation figures flatter it; "
            "the test pictures were used once, at the end. Names that end in `_before` are from before calibration.\n\n"
            f"{self._answered()}\n\n"
            f"## Limits\n\n{limits}\n\n"
            f"{self._joined()}"
            f"## Settings\n\n{_table('setting', self._shared())}\n"
            f"## Versions\n\n{_table('package', self.versions)}"
        )

    def _answered(self) -> str:
        if self.inference.engine == "tensorflow":
            return (
                "Answered in float32 by OpenVINO on a CPU where that is installed, else by TensorFlow; each load checks"
                " that its golden pictures' probabilities are within 1e-5 of TensorFlow's."
            )
        return (
            f"Answered by {self.inference.engine} in {self.inference.precision}; the golden pictures' probabilities "
            f"differ by up to {self.inference.difference:.1e} from TensorFlow's in float32."
        )

    def _joined(self) -> str:
        """The members of an ensemble, with the settings that they do not share."""
        if not self.members:
            return ""
        shared, lines = self._shared(), ""
        for member in self.members:
            own = (f"{key}={value}" for key, value in member.settings.items() if key not in shared)
            weight, heat = f"{member.weight:.4f}", f"{member.temperature:.4f}"
            lines += f"| {member.trial} | {weight} | {heat} | {_plain(', '.join(own))} |\n"
        return (
            f"## Members\n\nIts probabilities are the weighted average of those of {len(self.members)} trials, the "
            "logits of each divided by its temperature. What the networks have in common is run once.\n\n"
            f"| trial | weight | temperature | settings of its own |\n|---|---|---|---|\n{lines}\n"
        )

    def _shared(self) -> dict[str, str | int | float | bool | None]:
        """The settings; of an ensemble those that all of its members have."""
        if not self.members:
            return self.settings
        first, *others = (member.settings for member in self.members)
        return {
            key: value for key, value in first.items() if all(key in other and other[key] == value for other in others)
        }


def _table(title: str, rows: "dict[str, str] | dict[str, str | int | float | bool | None]") -> str:
    lines = "".join(f"| {_plain(key)} | {_plain(str(value))} |\n" for key, value in rows.items())
    return f"| {title} | value |\n|---|---|\n{lines}"


def _plain(text: str) -> str:
    """Text from the user (class names are folder names) that can't break out of its line, cell or code span."""
    return " ".join(text.split()).replace("|", "/").replace("`", "'")
