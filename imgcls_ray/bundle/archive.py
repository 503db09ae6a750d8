"""A look into a `.keras` file before Keras opens it: nothing in it may name code to run or files to read."""

import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any, cast

from imgcls_ray.bundle.stored import stored
from imgcls_ray.errors import ModelError

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MAX_SIZES = {CONFIG: 64 * 2**20, "metadata.json": 2**20, WEIGHTS: 4 * 2**30}
"""Bytes once unpacked. Of keras.applications the largest configuration has 2 MB, the largest weights have 1.4 GB."""
MAX_NUMBER = 2**16
"""Integers in a configuration are sizes and counts. One above this must be the size of some weight, or one layer would
ask for all of the memory. (Many still can: see docs/bundle.md.)"""

# Keras' own safe mode has had holes, each through a class or function that a configuration could name: so only what
# image classifiers are made of is let through, and Keras' safe mode is the second wall.
LAYERS = frozenset(
    """Activation Add Average AveragePooling2D BatchNormalization Concatenate Conv2D Cropping2D Dense DepthwiseConv2D
    Dropout ELU Flatten GaussianDropout GaussianNoise GlobalAveragePooling2D GlobalMaxPooling2D GroupNormalization
    Identity InputLayer LayerNormalization LeakyReLU MaxPooling2D Maximum Minimum Multiply Normalization PReLU Permute
    ReLU Rescaling Reshape Resizing SeparableConv2D Softmax SpatialDropout2D Subtract UpSampling2D ZeroPadding2D
    """.split()  # noqa: SIM905 - 39 names read better so
)
MODULES: dict[str, frozenset[str] | None] = {
    "keras": frozenset({"DTypePolicy", "Functional", "Model", "Sequential"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.layers": LAYERS,
    "keras.src.applications.convnext": frozenset({"LayerScale", "StochasticDepth"}),
    "keras.src.applications.inception_resnet_v2": frozenset({"CustomScaleLayer"}),
    # None: every class. These hold arithmetic only.
    "keras.initializers": None,
    "keras.regularizers": None,
    "keras.constraints": None,
    "keras.src.ops.numpy": None,
    "keras.src.ops.nn": None,
}
MARKS = frozenset({"__keras_tensor__", "__tuple__"})
"""Stand-ins inside a configuration that are no classes."""


def check_archive(path: Path) -> None:
    """Return when the `.keras` file at `path` holds stock Keras layers and plain weights only. Builds nothing.

    Raises:
        ModelError: it holds anything else, or can't be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive.infolist())
            try:
                config = json.loads(archive.read(CONFIG))
            except (ValueError, RecursionError) as error:
                raise ModelError(f"The model file's {CONFIG} is not JSON; get the bundle again.") from error
            _check_config(config)
            with stored(archive, WEIGHTS) as weights:
                largest = _check_weights(weights)
            _check_numbers(config, max(MAX_NUMBER, largest))
    except (OSError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError, TypeError, ValueError) as error:
        # zipfile: KeyError for a member that is missing, RuntimeError for one that is encrypted or packed oddly. h5py:
        # TypeError and ValueError for kinds of links and names that it does not know.
        raise ModelError(f"The model file {path.name} can't be read ({error}); get the bundle again.") from error


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = sorted(member.filename for member in members)
    if names != sorted(MAX_SIZES):
        raise ModelError(f"A model file holds {', '.join(sorted(MAX_SIZES))} and nothing else; received {names[:10]}.")
    for member in members:
        limit = min(MAX_SIZES[member.filename], 1000 * member.compress_size + 1000)
        if member.file_size > limit:
            raise ModelError(
                f"{member.filename} in the model file unpacks to {member.file_size:,} bytes from "
                f"{member.compress_size:,}, more than a network needs; it is refused."
            )
    whole = [one.compress_type == zipfile.ZIP_STORED and one.compress_size == one.file_size for one in members]
    if not all(whole):
        raise ModelError("The model file is packed, which Keras never does; it is refused.")


def _check_config(config: Any) -> None:
    """Walk all of a configuration, without recursion: its depth is the file's choice."""
    waiting = [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            if "class_name" in node:
                _check_class(node)
            if node.get("compile_config"):
                raise ModelError("A bundle's model is saved without its training state; this one has a compile_config.")
            waiting += node.values()


def _check_class(node: dict[str, Any]) -> None:
    name, module, registered = (node.get(key) for key in ("class_name", "module", "registered_name"))
    if isinstance(name, str) and name in MARKS and module is None and registered is None:
        return
    known = MODULES.get(module, frozenset()) if isinstance(module, str) else frozenset()
    plain = isinstance(name, str) and re.fullmatch(r"[A-Z]\w*", name) is not None
    if not plain or (known is not None and name not in known) or registered not in (None, name):
        raise ModelError(
            f"A bundle's model is made of stock Keras layers only; this one names {module}.{name}"
            f"{'' if registered in (None, name) else f' ({registered})'}, which could run code or read files."
        )


_NAMES = {"seed", "shared_object_id"}
"""Keys whose integers are no sizes."""


def _check_numbers(config: Any, largest: int) -> None:
    """No size in a configuration is beyond `largest`."""
    waiting = [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += [value for key, value in node.items() if key not in _NAMES]
        elif isinstance(node, list):
            waiting += node
        elif isinstance(node, int) and abs(node) > largest:
            raise ModelError(
                f"The model's configuration names the size {node}, but none of its weights is larger than {largest}; "
                "it is refused."
            )


def _check_weights(file: Any) -> int:
    """Weights are plain numbers that lie in this very file; the largest of their sides.

    HDF5 can also point to other files of this machine, pack, and tell of more numbers than it holds.
    """
    import h5py

    largest, seen = 0, set()
    with h5py.File(file, "r") as weights:
        waiting = [weights]
        while waiting:
            group = waiting.pop()
            address = h5py.h5o.get_info(group.id).addr
            if address in seen:
                raise ModelError(f"The model's weights hold the group {group.name} inside itself or twice.")
            seen.add(address)
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ModelError(f"The model's weights may not point elsewhere, but {group.name}/{name} does.")
                item = cast(Any, group[name])
                if isinstance(item, h5py.Group):
                    waiting.append(item)
                    continue
                if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub":
                    raise ModelError(f"The model's weights are plain numbers; {group.name}/{name} is something else.")
                if item.external or item.is_virtual:
                    raise ModelError(f"The model's weights may not lie in other files, but {item.name} does.")
                if item.nbytes != item.id.get_storage_size():
                    raise ModelError(
                        f"The model's weights lie in the file as they are; {item.name} tells of {item.nbytes:,} bytes "
                        f"and has {item.id.get_storage_size():,}."
                    )
                largest = max(largest, *item.shape, 0) if item.size else largest  # an empty one has any shape
    return largest
