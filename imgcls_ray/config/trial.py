"""The settings of one trial. A search space may name these fields and no others."""

from typing import Literal

from pydantic import Field

from imgcls_ray.config.base import Settings


class TrialSettings(Settings):
    """Everything that decides one trained model, apart from the data and the seed."""

    backbone: str = "cnn"
    """A name from `imgcls_ray.models.BACKBONES`, or `cnn` for the small network from scratch."""
    image_size: str = "native"
    """`native` (the backbone's own), `N` or `HxW` in pixels."""

    unfrozen_layers: int = Field(0, ge=0, le=200)
    """Pretrained backbones only: the last so many layers with a kernel are trained with the head; 0 trains the head."""
    backbone_rate: float = Field(0.1, gt=0, le=1)
    """Learning rate of those layers, as a share of the head's."""
    views: int = Field(0, ge=0, le=32)
    """Pretrained backbones only: augmented views of each training picture to learn from, beside the picture itself."""

    head_layers: int = Field(0, ge=0, le=3)
    """Hidden dense layers between the features and the softmax."""
    head_width: int = Field(256, ge=4, le=4096)
    activation: Literal["relu", "tanh", "swish", "gelu"] = "relu"
    batch_norm: bool = False
    """Batch normalisation of the features and of each hidden layer's input to its activation."""
    dropout: float = Field(0.0, ge=0, lt=1)

    cnn_blocks: int = Field(3, ge=1, le=5)
    """`cnn` only: blocks of two convolutions, each ending in 2x2 pooling."""
    cnn_width: int = Field(32, ge=4, le=256)
    """`cnn` only: filters of the first block; each further block doubles them."""

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """`sgd` has Nesterov momentum 0.9."""
    learning_rate: float = Field(1e-3, gt=0, le=10)
    schedule: Literal["constant", "cosine"] = "cosine"
    weight_decay: float = Field(0.0, ge=0, le=1)
    """L2 penalty on kernels (adam, sgd) or decoupled decay (adamw)."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    batch_size: int = Field(32, ge=1, le=8192)
    """Samples per optimiser step over all workers together."""
    epochs: int = Field(10, ge=1, le=10_000)
