"""The SegNet: the mask network of ReDO, as IEM's second stage uses it (paper, section 4), in flax NNX."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Shaped

from iem_jax.config import UsageError
from iem_jax.refine.config import check_size
from iem_jax.refine.layers import WINDOWS, Convolution, InstanceNorm, LogitConvolution, PyramidPooling, UpConvolution

Parameters = Any  # nested dicts of float32 arrays
OUTER_SIDE = 7  # of the first and the last kernel


@dataclasses.dataclass(frozen=True)
class NetConfig:
    """What a network needs beside its weights.

    Attributes:
      channels: of the pictures.
      width: channels of the residual blocks.
      depth: number of residual blocks.
      dtype: of the activations, "float32" or "bfloat16".
      shrink: sides of pictures are divided by this for the network.
      polish: rounds in which a mask, not a probability, is fitted to the colours of its picture, see `polish`.
    """

    channels: int = 3
    width: int = 64
    depth: int = 3
    dtype: str = "float32"
    shrink: int = 1
    polish: int = 0


class ResidualBlock(nnx.Module):
    """Convolution, norm, ReLU, convolution, added to the input, norm, ReLU."""

    def __init__(self, width: int, rngs: nnx.Rngs):
        self.first: Convolution = Convolution(width, width, 3, rngs=rngs)
        self.inner_norm: InstanceNorm = InstanceNorm(width)
        self.second: Convolution = Convolution(width, width, 3, bias=True, rngs=rngs)
        self.norm: InstanceNorm = InstanceNorm(width)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Return a map of the same shape."""
        y = self.second(jax.nn.relu(self.inner_norm(self.first(x))))
        return jax.nn.relu(self.norm(x + y))


class SegNet(nnx.Module):
    """Pictures in [-1, 1] to logits of the foreground; sides divisible by 4.

    Biases stand where no norm follows directly.
    """

    def __init__(self, config: NetConfig, rngs: nnx.Rngs):
        width = config.width
        self.dtype: np.dtype[Any] = jnp.dtype(config.dtype)
        self.first: Convolution = Convolution(config.channels, width // 4, OUTER_SIDE, rngs=rngs)
        self.first_norm: InstanceNorm = InstanceNorm(width // 4)
        self.down1: Convolution = Convolution(width // 4, width // 2, 3, stride=2, rngs=rngs)
        self.down1_norm: InstanceNorm = InstanceNorm(width // 2)
        self.down2: Convolution = Convolution(width // 2, width, 3, stride=2, rngs=rngs)
        self.down2_norm: InstanceNorm = InstanceNorm(width)
        self.blocks: nnx.List[ResidualBlock] = nnx.List([ResidualBlock(width, rngs) for _ in range(config.depth)])
        self.pyramid: PyramidPooling = PyramidPooling(width, rngs=rngs)
        pooled = width + len(WINDOWS)
        self.up1: UpConvolution = UpConvolution(pooled, pooled // 2, rngs=rngs)
        self.up1_norm: InstanceNorm = InstanceNorm(pooled // 2)
        self.up2: UpConvolution = UpConvolution(pooled // 2, pooled // 4, rngs=rngs)
        self.up2_norm: InstanceNorm = InstanceNorm(pooled // 4)
        self.last: LogitConvolution = LogitConvolution(pooled // 4, OUTER_SIDE, rngs=rngs)

    def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b h w"]:
        """Return logits, float32."""
        x = images.astype(self.dtype)
        with jax.named_scope("encode"):
            x = jax.nn.relu(self.first_norm(self.first(x)))
            x = jax.nn.relu(self.down1_norm(self.down1(x)))
            x = jax.nn.relu(self.down2_norm(self.down2(x)))
        with jax.named_scope("residual"):
            for block in self.blocks:
                x = block(x)
        with jax.named_scope("pyramid"):
            x = self.pyramid(x)
        with jax.named_scope("decode"):
            x = jax.nn.relu(self.up1_norm(self.up1(x)))
            x = jax.nn.relu(self.up2_norm(self.up2(x)))
            return self.last(x)


@functools.partial(jax.tree_util.register_dataclass, data_fields=["parameters"], meta_fields=["net"])
@dataclasses.dataclass(frozen=True)
class ModelState:
    """A trained network: a pytree, so that it can be an argument of a jitted function.

    Attributes:
      parameters: the weights, nested dicts of float32 arrays.
      net: the network's shape.
    """

    parameters: Parameters
    net: NetConfig


def init_parameters(key: Array, net: NetConfig) -> Parameters:
    """Draw the initial weights: orthogonal kernels of gain 0.8, norms that change nothing, biases 0."""
    return nnx.to_pure_dict(nnx.state(SegNet(net, nnx.Rngs(params=key)), nnx.Param))


def apply(parameters: Parameters, images: Float[Array, "b h w c"], net: NetConfig) -> Float[Array, "b h w"]:
    """Return the logits of pictures in [-1, 1]; pure."""
    graph, state = _skeleton(net)
    state = jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(parameters))
    return nnx.merge(graph, state)(images)


def predict(state: ModelState, images: Shaped[Array | np.ndarray, "b h w c"]) -> Float[Array, "b h w"]:
    """Return the probability that each pixel is foreground.

    Works inside a caller's jit; pictures are independent of each other, and all are computed side by side.

    Args:
      state: a trained network, from `fit` or `load_model`.
      images: (B, H, W, C), uint8, or float32 in [-1, 1]; H and W divisible by 4 `net.shrink`, C as in training.

    Returns:
      (B, H, W) float32 in [0, 1].

    Raises:
      UsageError: a shape or dtype that the network cannot take.
    """
    check_images(images, state.net.shrink, state.net.channels)
    return _predict(state, images)


def check_images(images: Shaped[Array | np.ndarray, "..."], shrink: int, channels: int | None = None) -> None:
    """Check the shape and dtype of pictures.

    Raises:
      UsageError: they are not (B, H, W, C) with sides that the network can take, uint8 or floating point.
    """
    if images.ndim != 4 or 0 in images.shape:
        raise UsageError(f"`images` must have shape (B, H, W, C), none of them 0, got {images.shape}.")
    if channels is not None and images.shape[3] != channels:
        raise UsageError(f"`images` must have the {channels} channels that the network has, got {images.shape[3]}.")
    if images.dtype != np.uint8 and not jnp.issubdtype(images.dtype, jnp.floating):
        raise UsageError(f"`images` must be uint8, or floating point in [-1, 1], got {images.dtype}.")
    check_size("images", images.shape[1], images.shape[2], shrink)


def to_unit(images: Shaped[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Bring uint8 to float32 in [-1, 1]; floats become float32."""
    return images.astype(jnp.float32) / 127.5 - 1 if images.dtype == jnp.uint8 else images.astype(jnp.float32)


@jax.jit
def _predict(state: ModelState, images: Array) -> Array:
    images, shrink = to_unit(images), state.net.shrink
    if shrink == 1:
        return jax.nn.sigmoid(apply(state.parameters, images, state.net))
    batch, height, width, channels = images.shape
    small = jax.image.resize(images, (batch, height // shrink, width // shrink, channels), "linear")
    logits = apply(state.parameters, small, state.net)
    return jax.nn.sigmoid(jax.image.resize(logits, (batch, height, width), "linear"))


@functools.lru_cache
def _skeleton(net: NetConfig) -> tuple[Any, Any]:
    """Return the graph definition and the abstract state of a network."""
    return nnx.split(nnx.eval_shape(lambda: SegNet(net, nnx.Rngs(params=0))))
