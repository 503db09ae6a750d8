"""What a network costs to run."""

import math

import keras


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one sample going forward: those of the layers with a kernel, which are nearly all there are."""
    total = 0
    for layer in model.layers:
        kernels = [v for v in layer.weights if v.name in ("kernel", "depthwise_kernel", "pointwise_kernel")]
        for kernel in kernels:
            # Each output pixel is a product with the kernel; a dense layer's output is one pixel. A depthwise kernel
            # has its channels in place of what it sums over, so its size counts in the same way.
            pixels = math.prod(layer.output.shape[1:-1])
            total += pixels * math.prod(kernel.shape)
    return total
