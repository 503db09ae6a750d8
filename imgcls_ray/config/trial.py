"""The settings of one trial. A search space may name these fields and no others."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from imgcls_ray.config.base import Settings
from imgcls_ray.config.weighting import parse_weighting


def _weighting(text: str) -> str:
    parse_weighting(text)
    return text


class TrialSettings(Settings):
    """Everything that decides one trained model, apart from the data and the seed.

    A field added later has a default that changes nothing: it neither costs time nor changes a trial's seed.
    """

    backbone: str = "cnn"
    """A name from `imgcls_ray.models.BACKBONES`, or `cnn` for the small network from scratch."""
    image_size: str = "native"
    """`native` (the backbone's own), `N` or `HxW` in pixels."""

    from_trial: int | None = Field(None, ge=0)
    """Second stage only: the probe trial that it starts from. No search space names it; see `search.finetuning`."""
    unfrozen_layers: int = Field(0, ge=0, le=200)
    """Pretrained backbones only: the last so many layers with a kernel are trained with the head; 0 trains the head."""
    backbone_rate: float = Field(0.1, gt=0, le=1)
    """Learning rate of those layers, as a share of the head's."""
    views: int = Field(0, ge=0, le=32)
    """Pretrained backbones only: augmented views of each training picture to learn from, beside the picture itself."""

    head: Literal["custom", "none", "light", "heavy"] = "custom"
    """`custom` is what the next five say; the others take their place (`imgcls_ray.models.network.HEADS`)."""
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

    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    momentum: float = Field(0.9, ge=0, lt=1)
    """`sgd` (Nesterov) and `rmsprop` only."""
    learning_rate: float = Field(1e-3, gt=0, le=10)
    schedule: Literal["constant", "cosine", "plateau", "one_cycle", "triangular", "triangular2", "exp_range"] = "cosine"
    """How the learning rate goes on; see `imgcls_ray.training.schedule`."""
    warmup: float = Field(0.0, ge=0, lt=1)
    """Share of the steps over which the rate rises evenly to `learning_rate`, before the schedule begins."""
    cycles: int = Field(3, ge=1, le=1000)
    """`triangular`, `triangular2` and `exp_range` only: rises and falls within the trial."""
    plateau_patience: int = Field(3, ge=1, le=1000)
    """`plateau` only: epochs without a lower `val_loss` until the rate is reduced."""
    plateau_factor: float = Field(0.3, gt=0, lt=1)
    """`plateau` only: what the rate is multiplied with then."""
    weight_decay: float = Field(0.0, ge=0, le=1)
    """L2 penalty on kernels (adam, sgd, rmsprop) or decoupled decay (adamw)."""

    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: float = Field(2.0, ge=0, le=10)
    """`focal` only: how much less a sample counts the surer its right answer is; 0 is cross-entropy."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weighting: Annotated[str, AfterValidator(_weighting)] = "none"
    """`none`; `balanced`: each class counts the same in all; or `NAME=WEIGHT,...`, the others 1."""

    mixup: float = Field(0.0, ge=0, le=10)
    """Alpha of mixup's Beta distribution; 0 mixes nothing. On pictures, maps or features: what is trained on."""
    cutmix: float = Field(0.0, ge=0, le=10)
    """The same of CutMix; pictures and maps only. With both, half of the batches have one, half the other."""
    augment: float = Field(0.0, ge=0, le=1)
    """Networks on pictures only (from scratch): strength of the kinds below, drawn anew for each picture and epoch."""
    flips: Literal["none", "horizontal", "vertical", "both"] = "horizontal"
    shift: bool = True
    """At strength 1 by up to a fifth of each side."""
    zoom: bool = True
    """At strength 1 from 0.7 to 1.4 times."""
    rotation: bool = True
    """At strength 1 by up to 40 degrees."""
    contrast: bool = True
    """At strength 1 from half to one and a half of a picture's deviation from its mean."""

    batch_size: int = Field(32, ge=1, le=8192)
    """Samples per optimiser step over all workers together."""
    epochs: int = Field(10, ge=1, le=10_000)
    early_stopping: int = Field(0, ge=0, le=10_000)
    """Epochs without gain after which a trial ends; 0 never."""
    early_stopping_metric: Literal["val_loss", "val_accuracy"] = "val_loss"
    """What has to fall, or to rise."""
    min_accuracy: float = Field(0.0, ge=0, le=1)
    """A trial ends after its first epoch if its training accuracy is below this."""
