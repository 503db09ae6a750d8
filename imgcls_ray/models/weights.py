"""Where a backbone's pretrained weights come from. Needs neither Keras nor TensorFlow."""

import hashlib
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from imgcls_ray.data.files import replacing, storing
from imgcls_ray.errors import WeightsError
from imgcls_ray.models.backbones import BACKBONES, KerasBackbone, backbone
from imgcls_ray.models.bundled import is_bundled, model_file
from imgcls_ray.models.download import download, keras_models_folder

FOLDER_VARIABLE = "IMGCLS_WEIGHTS_DIR"
_SUFFIXES = (".h5", ".keras")


@dataclass(frozen=True)
class Weights:
    """Weights to start a backbone from."""

    kind: Literal["file", "bundle", "none"]
    """`bundle`: the file is a whole network of ours. `none` starts from random values that are the same each time."""
    path: Path | None
    sha256: str
    """Of the file's bytes, 64 hexadecimal digits; `none` where there is no file."""

    @property
    def pretrained(self) -> bool:
        """Whether there is something to start from."""
        return self.kind != "none"


NO_WEIGHTS = Weights("none", None, "none")


def resolve_weights(name: str, weights: tuple[str, ...] = ("imagenet",)) -> Weights:
    """Find the weights of the backbone `name`; downloads them where nothing else has them.

    `weights` holds `imagenet`, `none`, paths of files or folders, and `NAME=PATH`. Looked up in this order: `NAME=PATH`
    for this backbone; a path (a file that is named after this backbone, or the only file given if its name tells none;
    a folder that holds one); `none`; the folder in the environment variable IMGCLS_WEIGHTS_DIR; Keras' cache; Keras'
    download. In a folder a file fits when it has Keras' own file name, or the backbone's name followed by `_` or `.`.
    The backbone `bundle:PATH` has the bundle's own, whatever `weights` says.

    Raises:
        SettingsError: no such backbone.
        ModelError: no such bundle.
        WeightsError: a path does not exist, several files fit, or there are none and they can't be downloaded
            (said within five seconds where the network does not answer).
    """
    if is_bundled(name):
        return replace(_of_file(model_file(name)), kind="bundle")
    entry = backbone(name)
    found = _at_hand(entry, weights)
    return found if found is not None else _of_file(download(entry))


def placed(found: Weights, folder: Path) -> Weights:
    """The same weights as a file in `folder`, which every node of a cluster sees: Keras' cache is on one of them.

    A bundle stays where it is.

    Raises:
        StorageError: the file can't be copied there.
    """
    if found.kind != "file" or found.path is None:
        return found
    place = folder / f"{found.sha256[:16]}-{found.path.name}"
    if not place.is_file():
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with found.path.open("rb") as file, replacing(place) as copy:
                shutil.copyfileobj(file, copy)
    return replace(found, path=place)


def at_hand(name: str, weights: tuple[str, ...] = ("imagenet",)) -> bool:
    """Would `resolve_weights` succeed without the network? Raises what it raises for a wrong path or name."""
    return _at_hand(backbone(name), weights) is not None


def belongs_to(file_name: str) -> str | None:
    """The backbone that a weights file is for, as its name tells; None where it tells nothing."""
    if not file_name.endswith(_SUFFIXES):
        return None
    for entry in BACKBONES.values():
        if file_name == entry.weights_file:
            return entry.name
    prefixes = [name for name in BACKBONES if file_name.startswith((f"{name}_", f"{name}."))]
    # The longest: a file of `resnet50_v2` starts with `resnet50_` as well.
    return max(prefixes, key=len, default=None)


def _at_hand(entry: KerasBackbone, weights: tuple[str, ...]) -> Weights | None:
    named, bare = _split(weights)
    if entry.name in named:
        path = named[entry.name]
        file = _in_folder(entry, path) if path.is_dir() else path
        if file is None:
            raise WeightsError(
                f"--weights {entry.name}={path} names a folder without weights for it; put "
                f"'{entry.weights_file}' there or name the file itself."
            )
        return _of_file(file)
    files = [path for path in bare if path.is_file()]
    own = [path for path in files if belongs_to(path.name) == entry.name]
    if not own and len(files) == 1 and belongs_to(files[0].name) is None:
        own = files
    own += [file for path in bare if path.is_dir() and (file := _in_folder(entry, path)) is not None]
    if own:
        return _of_file(_only(entry, own))
    if "none" in weights:
        return NO_WEIGHTS
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        if not Path(folder).is_dir():
            raise WeightsError(f"{FOLDER_VARIABLE} must name a folder of weights files; '{folder}' is no folder.")
        if (file := _in_folder(entry, Path(folder))) is not None:
            return _of_file(file)
    cached = keras_models_folder() / entry.weights_file
    return _of_file(cached) if cached.is_file() else None


def _split(weights: tuple[str, ...]) -> tuple[dict[str, Path], list[Path]]:
    """`NAME=PATH` by name, and the paths without a name; each is there."""
    named: dict[str, Path] = {}
    bare: list[Path] = []
    for value in weights:
        if value in ("imagenet", "none"):
            continue
        name, equals, rest = value.partition("=")
        # A path may hold an equals sign itself: then it is there as it was typed.
        is_named = bool(equals) and not Path(value).expanduser().exists()
        path = Path(rest if is_named else value).expanduser()
        if is_named:
            named[backbone(name).name] = path
        else:
            bare.append(path)
        if not path.exists():
            raise WeightsError(
                f"--weights takes 'imagenet', 'none', a file or folder, or NAME=PATH; received '{value}', "
                f"and there is no '{path}'."
            )
    return named, bare


def _in_folder(entry: KerasBackbone, folder: Path) -> Path | None:
    own = folder / entry.weights_file
    if own.is_file():
        return own
    files = sorted(path for path in folder.iterdir() if path.is_file() and belongs_to(path.name) == entry.name)
    return _only(entry, files) if files else None


def _only(entry: KerasBackbone, files: list[Path]) -> Path:
    if len(files) > 1:
        listed = ", ".join(f"'{path}'" for path in files)
        raise WeightsError(
            f"One weights file per backbone; for '{entry.name}' several fit ({listed}): "
            f"say which with --weights {entry.name}=PATH."
        )
    return files[0]


def _of_file(path: Path) -> Weights:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise WeightsError(
            f"The weights file '{path}' can't be read ({error.strerror}); check its permissions."
        ) from error
    return Weights("file", path.resolve(), digest.hexdigest())
