"""Parts of the network, channels last, written so that the compiler gets few and large products.

The layers at full resolution have few channels, which makes for slow products. Those of the decoder are computed in
blocks of 2 x 2 pixels at half the resolution, with kernels rearranged on the fly: the same sums up to rounding.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

GAIN = 0.8
WINDOWS = (1, 2, 3, 6)  # the pyramid's windows are these parts of the map's sides

# Nearest x2, then three taps: output phase a, tap u of two on the small map, tap i of three on the large one. Phase 0
# sees the small pixel before its own and its own, phase 1 its own and the one after.
_UPSAMPLED = np.array([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], np.float32)


def make_kernel(shape: tuple[int, ...], rngs: nnx.Rngs) -> nnx.Param[Array]:
    """Draw an orthogonal kernel (rows, columns, in, out) of gain 0.8."""
    return nnx.Param(nnx.initializers.orthogonal(GAIN)(rngs.params(), shape, jnp.float32))


class Convolution(nnx.Module):
    """A convolution with zero padding of one pixel for 3 x 3, and reflected pixels for larger kernels."""

    def __init__(self, inputs: int, outputs: int, side: int, *, stride: int = 1, bias: bool = False, rngs: nnx.Rngs):
        self.kernel: nnx.Param[Array] = make_kernel((side, side, inputs, outputs), rngs)
        self.bias: nnx.Param[Array] | None = nnx.Param(jnp.zeros(outputs)) if bias else None
        self.stride = stride

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b p q d"]:
        """Convolve; a stride divides the sides."""
        kernel = self.kernel[...].astype(x.dtype)
        margin = kernel.shape[0] // 2
        if margin > 1:
            x, margin = reflect(x, margin), 0
        y = convolve(x, kernel, self.stride, (margin, margin))
        return y if self.bias is None else y + self.bias[...].astype(x.dtype).reshape(1, 1, 1, -1)


class UpConvolution(nnx.Module):
    """Nearest x2 upsampling followed by a 3 x 3 convolution with zero padding."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        self.kernel: nnx.Param[Array] = make_kernel((3, 3, inputs, outputs), rngs)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b p q d"]:
        """Compute the four phases of the output as channels of one 2 x 2 convolution of the small map."""
        batch, height, width, _ = x.shape
        kernel = jnp.einsum("aui,bvj,ijcd->uvcabd", _UPSAMPLED, _UPSAMPLED, self.kernel[...], precision="highest")
        # Half of the padding is a copy: XLA's gradient on CPUs is 30 times slower where a result outgrows its input.
        x = jnp.pad(x, [(0, 0), (0, 1), (0, 1), (0, 0)])
        y = convolve(x, kernel.reshape(*kernel.shape[:3], -1).astype(x.dtype), 1, (1, 0))
        y = y.reshape(batch, height + 1, width + 1, 2, 2, -1)  # entry p is made of the small pixels p - 1 and p
        rows = [jnp.stack([y[:, a : height + a, b : width + b, a, b] for b in range(2)], 3) for a in range(2)]
        return jnp.stack(rows, 2).reshape(batch, 2 * height, 2 * width, -1)


class LogitConvolution(nnx.Module):
    """A convolution to one channel with reflected edges and a bias, in blocks of 2 x 2 pixels."""

    def __init__(self, inputs: int, side: int, *, rngs: nnx.Rngs):
        self.kernel: nnx.Param[Array] = make_kernel((side, side, inputs, 1), rngs)
        self.bias: nnx.Param[Array] = nnx.Param(jnp.zeros(1))

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w"]:
        """Convolve pictures of even sides; the result is float32."""
        side, _, channels, _ = self.kernel.shape
        taps = _blocked_taps(side)
        kernel = jnp.einsum("aupi,bvqj,ijcd->uvpqcabd", taps, taps, self.kernel[...], precision="highest")
        kernel = kernel.reshape(*kernel.shape[:2], 4 * channels, 4).astype(x.dtype)
        # The padding, cut off again, is there since XLA's convolution on CPUs is 20 times slower without any.
        y = convolve(to_blocks(reflect(x, side // 2)), kernel, 1, (1, 1))[:, 1:-1, 1:-1]
        return from_blocks(y.astype(jnp.float32))[..., 0] + self.bias[...].reshape(1, 1, 1)


class InstanceNorm(nnx.Module):
    """Bring each channel of each picture to mean 0 and variance 1, then scale and shift; statistics in float32."""

    def __init__(self, channels: int):
        self.scale: nnx.Param[Array] = nnx.Param(jnp.ones(channels))
        self.shift: nnx.Param[Array] = nnx.Param(jnp.zeros(channels))

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Normalise over rows and columns."""
        y = x.astype(jnp.float32)
        mean = jnp.mean(y, axis=(1, 2), keepdims=True)
        variance = jnp.mean(jnp.square(y - mean), axis=(1, 2), keepdims=True)
        factor = jax.lax.rsqrt(variance + 1e-5) * self.scale[...].reshape(1, 1, 1, -1)
        return ((y - mean) * factor + self.shift[...].reshape(1, 1, 1, -1)).astype(x.dtype)


class PyramidPooling(nnx.Module):
    """Means over windows of several sizes, each brought to one channel, back to full size, and concatenated.

    Averaging, the 1 x 1 convolution and bilinear interpolation are linear and commute: the convolutions come first,
    as one product, and the rest is one matrix for rows and one for columns.
    """

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        kernels = [make_kernel((channels, 1), rngs)[...] for _ in WINDOWS]
        self.kernel: nnx.Param[Array] = nnx.Param(jnp.concatenate(kernels, axis=1))
        self.bias: nnx.Param[Array] = nnx.Param(jnp.zeros(len(WINDOWS)))

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        """Append `len(WINDOWS)` channels."""
        rows, columns = (np.stack([pooling_matrix(side, part) for part in WINDOWS]) for side in x.shape[1:3])
        y = jnp.einsum("bhwc,ck->bkhw", x, self.kernel[...].astype(x.dtype))
        y = jnp.einsum("kph,bkhw,kqw->bpqk", rows.astype(x.dtype), y, columns.astype(x.dtype))
        return jnp.concatenate([x, y + self.bias[...].astype(x.dtype).reshape(1, 1, 1, -1)], axis=-1)


def convolve(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k l c d"], stride: int, margin: tuple[int, int]
) -> Array:
    """Correlate with a kernel, so many zeros before and after rows and columns."""
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), [margin] * 2, dimension_numbers=numbers)


def reflect(x: Float[Array, "b h w c"], margin: int) -> Float[Array, "b p q c"]:
    """Pad rows and columns with their mirror image; the edge itself is not repeated."""
    return jnp.pad(x, [(0, 0), (margin, margin), (margin, margin), (0, 0)], "reflect")


def to_blocks(x: Float[Array, "b h w c"]) -> Float[Array, "b p q 4*c"]:
    """Make the four pixels of each 2 x 2 block channels of one pixel."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels).swapaxes(2, 3)
    return x.reshape(batch, height // 2, width // 2, 4 * channels)


def from_blocks(x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c//4"]:
    """Undo `to_blocks`."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, 2, 2, channels // 4).swapaxes(2, 3)
    return x.reshape(batch, 2 * height, 2 * width, channels // 4)


def pooling_matrix(side: int, part: int) -> Float[np.ndarray, "side side"]:
    """Return the matrix that averages windows of `side // part` and interpolates back to `side`, half-pixel centres.

    What the windows leave over at the end of a side is not averaged; windows are at least one pixel.
    """
    window = max(side // part, 1)
    number = side // window
    means = np.repeat(np.eye(number), window, axis=1) / window
    means = np.pad(means, [(0, 0), (0, side - number * window)])
    position = np.clip((np.arange(side) + 0.5) * number / side - 0.5, 0, number - 1)
    weights = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(number)))
    return (weights @ means).astype(np.float32)


def _blocked_taps(side: int) -> Float[np.ndarray, "2 u 2 side"]:
    """Say which tap connects output phase a with phase p of the block u further on: row 2 u + p is row a + tap."""
    taps = np.zeros((2, (side + 1) // 2, 2, side), np.float32)
    for phase in range(2):
        for tap in range(side):
            taps[phase, (phase + tap) // 2, (phase + tap) % 2, tap] = 1
    return taps
