import keras

from imgcls_ray.config import Size
from imgcls_ray.models.cost import multiply_adds
from imgcls_ray.models.features import build_features
from imgcls_ray.models.weights import NO_WEIGHTS


def test_convolutions_depthwise_convolutions_and_dense_layers_are_counted() -> None:
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(pixels)  # 4 x 4 x 4 outputs of 27
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)  # 4 x 4 x 4 outputs of 9
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(pixels, keras.layers.Dense(5)(x))  # 5 outputs of 4
    assert multiply_adds(model) == 64 * 27 + 64 * 9 + 5 * 4


def test_mobilenet_v2_costs_what_its_paper_says() -> None:
    # Sandler et al., 2018, table 4: 300 million, of which the 1.3 million of the classifier are not in here.
    features = build_features("mobilenet_v2_1.0", Size(224, 224), 3, NO_WEIGHTS)
    assert 295e6 < multiply_adds(features) < 302e6
