"""The table of backbones: every architecture of keras.applications 3.15, with its width variants.

Names, native sizes and hashes were read from Keras 3.15.1, feature widths from the built networks; tests compare.
"""
# ruff: noqa: E501 - a row of the table is a line

from typing import Any, Literal, NamedTuple

Scaling = Literal["tf", "caffe", "torch", "none"]


class Family(NamedTuple):
    """What the members of a family share; `file` has a gap for the row's part of the weights file's name."""

    folder: str
    file: str
    scaling: Scaling
    min_size: int


class Row(NamedTuple):
    """The columns of `FAMILIES`."""

    name: str
    keras_name: str
    arguments: dict[str, Any]
    native_size: int
    features: int
    file_part: str
    hash: str | None


_KERNELS = "{}_weights_tf_dim_ordering_tf_kernels_notop.h5"
# NASNet's files are published under other names than Keras' cache has for them.
PUBLISHED_AS = {
    "nasnet_mobile_no_top.h5": "NASNet-mobile-no-top.h5",
    "nasnet_large_no_top.h5": "NASNet-large-no-top.h5",
}

# fmt: off
FAMILIES: dict[Family, tuple[tuple[str, str, dict[str, Any], int, int, str, str | None], ...]] = {
    Family("tensorflow/keras-applications/mobilenet", "mobilenet_{}_224_tf_no_top.h5", "tf", 32): (
        ("mobilenet_0.25", "MobileNet", {"alpha": 0.25}, 224, 256, "2_5", None),
        ("mobilenet_0.5", "MobileNet", {"alpha": 0.5}, 224, 512, "5_0", None),
        ("mobilenet_0.75", "MobileNet", {"alpha": 0.75}, 224, 768, "7_5", None),
        ("mobilenet_1.0", "MobileNet", {"alpha": 1.0}, 224, 1024, "1_0", None),
    ),
    Family("tensorflow/keras-applications/mobilenet_v2", "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{}_224_no_top.h5", "tf", 32): (
        ("mobilenet_v2_0.35", "MobileNetV2", {"alpha": 0.35}, 224, 1280, "0.35", None),
        ("mobilenet_v2_0.5", "MobileNetV2", {"alpha": 0.5}, 224, 1280, "0.5", None),
        ("mobilenet_v2_0.75", "MobileNetV2", {"alpha": 0.75}, 224, 1280, "0.75", None),
        ("mobilenet_v2_1.0", "MobileNetV2", {"alpha": 1.0}, 224, 1280, "1.0", None),
        ("mobilenet_v2_1.3", "MobileNetV2", {"alpha": 1.3}, 224, 1664, "1.3", None),
        ("mobilenet_v2_1.4", "MobileNetV2", {"alpha": 1.4}, 224, 1792, "1.4", None),
    ),
    Family("tensorflow/keras-applications/mobilenet_v3", "weights_mobilenet_v3_{}_float_no_top_v2.h5", "none", 32): (
        ("mobilenet_v3_small_0.75", "MobileNetV3Small", {"alpha": 0.75}, 224, 432, "small_224_0.75", "ebdb5cc8e0b497cd13a7c275d475c819"),
        ("mobilenet_v3_small_1.0", "MobileNetV3Small", {"alpha": 1.0}, 224, 576, "small_224_1.0", "d3e8ec802a04aa4fc771ee12a9a9b836"),
        ("mobilenet_v3_small_minimalistic", "MobileNetV3Small", {"minimalistic": True}, 224, 576, "small_minimalistic_224_1.0", "cde8136e733e811080d9fcd8a252f7e4"),
        ("mobilenet_v3_large_0.75", "MobileNetV3Large", {"alpha": 0.75}, 224, 720, "large_224_0.75", "40af19a13ebea4e2ee0c676887f69a2e"),
        ("mobilenet_v3_large_1.0", "MobileNetV3Large", {"alpha": 1.0}, 224, 960, "large_224_1.0", "07fb09a5933dd0c8eaafa16978110389"),
        ("mobilenet_v3_large_minimalistic", "MobileNetV3Large", {"minimalistic": True}, 224, 960, "large_minimalistic_224_1.0", "ec5221f64a2f6d1ef965a614bdae7973"),
    ),
    Family("keras-applications", "{}_notop.h5", "none", 32): (
        ("efficientnet_b0", "EfficientNetB0", {}, 224, 1280, "efficientnetb0", "50bc09e76180e00e4465e1a485ddc09d"),
        ("efficientnet_b1", "EfficientNetB1", {}, 240, 1280, "efficientnetb1", "74c4e6b3e1f6a1eea24c589628592432"),
        ("efficientnet_b2", "EfficientNetB2", {}, 260, 1408, "efficientnetb2", "111f8e2ac8aa800a7a99e3239f7bfb39"),
        ("efficientnet_b3", "EfficientNetB3", {}, 300, 1536, "efficientnetb3", "af6d107764bb5b1abb91932881670226"),
        ("efficientnet_b4", "EfficientNetB4", {}, 380, 1792, "efficientnetb4", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
        ("efficientnet_b5", "EfficientNetB5", {}, 456, 2048, "efficientnetb5", "38879255a25d3c92d5e44e04ae6cec6f"),
        ("efficientnet_b6", "EfficientNetB6", {}, 528, 2304, "efficientnetb6", "9ecce42647a20130c1f39a5d4cb75743"),
        ("efficientnet_b7", "EfficientNetB7", {}, 600, 2560, "efficientnetb7", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    ),
    Family("tensorflow/keras-applications/efficientnet_v2", "{}_notop.h5", "none", 32): (
        ("efficientnet_v2_b0", "EfficientNetV2B0", {}, 224, 1280, "efficientnetv2-b0", "893217f2bb855e2983157299931e43ff"),
        ("efficientnet_v2_b1", "EfficientNetV2B1", {}, 240, 1280, "efficientnetv2-b1", "0e80663031ca32d657f9caa404b6ec37"),
        ("efficientnet_v2_b2", "EfficientNetV2B2", {}, 260, 1408, "efficientnetv2-b2", "1dfe2e7a5d45b6632553a8961ea609eb"),
        ("efficientnet_v2_b3", "EfficientNetV2B3", {}, 300, 1536, "efficientnetv2-b3", "f6abf7b5849ac99a89b50dd3fd532856"),
        ("efficientnet_v2_s", "EfficientNetV2S", {}, 384, 1280, "efficientnetv2-s", "af0682fb74e8c54910f2d4393339c070"),
        ("efficientnet_v2_m", "EfficientNetV2M", {}, 480, 1280, "efficientnetv2-m", "1b8dc055df72dde80d614482840fe342"),
        ("efficientnet_v2_l", "EfficientNetV2L", {}, 480, 1280, "efficientnetv2-l", "b0b66b5c863aef5b46e8608fe1711615"),
    ),
    Family("tensorflow/keras-applications/resnet", _KERNELS, "caffe", 32): (
        ("resnet50", "ResNet50", {}, 224, 2048, "resnet50", "4d473c1dd8becc155b73f8504c6f6626"),
        ("resnet101", "ResNet101", {}, 224, 2048, "resnet101", "88cf7a10940856eca736dc7b7e228a21"),
        ("resnet152", "ResNet152", {}, 224, 2048, "resnet152", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    ),
    Family("tensorflow/keras-applications/resnet", _KERNELS, "tf", 32): (
        ("resnet50_v2", "ResNet50V2", {}, 224, 2048, "resnet50v2", "fac2f116257151a9d068a22e544a4917"),
        ("resnet101_v2", "ResNet101V2", {}, 224, 2048, "resnet101v2", "c0ed64b8031c3730f411d2eb4eea35b5"),
        ("resnet152_v2", "ResNet152V2", {}, 224, 2048, "resnet152v2", "ed17cf2e0169df9d443503ef94b23b33"),
    ),
    Family("tensorflow/keras-applications/densenet", _KERNELS, "torch", 32): (
        ("densenet121", "DenseNet121", {}, 224, 1024, "densenet121", "30ee3e1110167f948a6b9946edeeb738"),
        ("densenet169", "DenseNet169", {}, 224, 1664, "densenet169", "b8c4d4c20dd625c148057b9ff1c1176b"),
        ("densenet201", "DenseNet201", {}, 224, 1920, "densenet201", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    ),
    Family("tensorflow/keras-applications/inception_v3", _KERNELS, "tf", 75): (
        ("inception_v3", "InceptionV3", {}, 299, 2048, "inception_v3", "bcbd6486424b2319ff4ef7d526e38f63"),
    ),
    Family("tensorflow/keras-applications/inception_resnet_v2", _KERNELS, "tf", 75): (
        ("inception_resnet_v2", "InceptionResNetV2", {}, 299, 1536, "inception_resnet_v2", "d19885ff4a710c122648d3b5c3b684e4"),
    ),
    Family("tensorflow/keras-applications/xception", _KERNELS, "tf", 71): (
        ("xception", "Xception", {}, 299, 2048, "xception", "b0042744bf5b25fce3cb969f33bebb97"),
    ),
    Family("tensorflow/keras-applications/nasnet", "{}_no_top.h5", "tf", 32): (
        ("nasnet_mobile", "NASNetMobile", {}, 224, 1056, "nasnet_mobile", "1ed92395b5b598bdda52abe5c0dbfd63"),
        ("nasnet_large", "NASNetLarge", {}, 331, 4032, "nasnet_large", "d81d89dc07e6e56530c4e77faddd61b5"),
    ),
    Family("tensorflow/keras-applications/vgg16", _KERNELS, "caffe", 32): (
        ("vgg16", "VGG16", {}, 224, 512, "vgg16", "6d6bbae143d832006294945121d1f1fc"),
    ),
    Family("tensorflow/keras-applications/vgg19", _KERNELS, "caffe", 32): (
        ("vgg19", "VGG19", {}, 224, 512, "vgg19", "253f8cb515780f3b799900260a226db6"),
    ),
    Family("tensorflow/keras-applications/convnext", "{}_notop.h5", "none", 32): (
        ("convnext_tiny", "ConvNeXtTiny", {}, 224, 768, "convnext_tiny", "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
        ("convnext_small", "ConvNeXtSmall", {}, 224, 768, "convnext_small", "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
        ("convnext_base", "ConvNeXtBase", {}, 224, 1024, "convnext_base", "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"),
        ("convnext_large", "ConvNeXtLarge", {}, 224, 1536, "convnext_large", "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"),
        ("convnext_xlarge", "ConvNeXtXLarge", {}, 224, 2048, "convnext_xlarge", "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"),
    ),
}
# fmt: on
