"""The pictures that an export is made and judged with."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures as the bundle's pixel operations give them, beside the golden ones that it carries itself."""

    fitting: np.ndarray
    """(n, H, W, C) uint8 to choose integers by: training pictures, or the golden ones; at least 1."""
    judging: np.ndarray
    """(n, H, W, C) uint8, held out of training; may be none."""
    source: str
    """What they are, for the note beside the export."""
    encoded: tuple[bytes, ...] = ()
    """Whole files of JPEG or PNG, to compare decoders with; may be none."""
    encoded_source: str = ""
    held_out: bool = False
    """Whether `fitting` and `judging` are different pictures."""
