"""A trained network as one more way to segment; flax and its company are imported only when a network is asked for."""

import importlib
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from iem_jax.config import UsageError
from iem_jax.core.arrays import Device
from iem_jax.core.batch import make_batch, segment_batch
from iem_jax.core.features import srgb_to_lab
from iem_jax.core.solver import Segmentation
from iem_jax.refine.config import check_size
from iem_jax.search.colour_model import SLOPE, harden, log_odds, make_colour_model
from iem_jax.search.polish import LEAST
from iem_jax.search.search import number_mask

CHANNELS = 3  # of the pictures that a run reads
SAY = 0.25  # weight of the network's log odds beside those of the colours
DOUBT = 0.01  # of a probability that the network is sure of


def check_installed(flag: str) -> None:
    """Check that what the network needs is there.

    Raises:
      UsageError: a package is absent.
    """
    try:
        importlib.import_module("iem_jax.refine.checkpoints")
    except ModuleNotFoundError as error:
        package = (error.name or "flax").split(".")[0]
        raise UsageError(
            f"`{flag}` needs {package}, which is not installed: `pip install flax optax orbax-checkpoint`."
        ) from error


def load_network(folder: str, size: int) -> Any:
    """Read a trained network, a `refine.ModelState`, that is to segment pictures of `size` x `size`.

    Raises:
      UsageError: there is none, it is damaged, or it cannot work on such pictures.
    """
    check_installed("refine_checkpoint")
    from iem_jax.refine import load_model

    model = load_model(folder)
    check_size("size", size, size, model.net.shrink)
    if model.net.channels != CHANNELS:
        raise UsageError(
            f"`refine_checkpoint` must be of a network for pictures of 3 channels, got {model.net.channels}."
        )
    return model


def identify(model: Any) -> str:
    """Return a text that is another one for a network with other weights."""
    code = zlib.crc32(repr(model.net).encode())
    for leaf in jax.tree.leaves(model.parameters):
        code = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), code)
    return f"{code:08x}"


def segment_by_network(
    images: Any,
    model: Any,
    *,
    ground_truths: Any = None,
    valid: Any = None,
    chunk_size: int | None = None,
    devices: Sequence[Device] | None = None,
) -> Segmentation:
    """Cut the object out of each picture of a batch with a trained network.

    Args:
      images: (B, H, W, C), as for `refine.predict`.
      model: a `refine.ModelState`; its weights NumPy's, so that they can go to any device.
      ground_truths: (B, H, W), true for foreground; only counted, in `info.overlap`.
      valid: (B, H, W), true for the picture's own pixels where it was padded; the others are never foreground.
      chunk_size: pictures computed side by side.
      devices: devices among which to share the batch.

    Returns:
      A `Segmentation` whose `info` has one entry, (B, 1): the numbers of the mask. A picture of one colour, or one in
      which the network sees one side only, keeps the centred square.
    """
    batch = make_batch(images, ground_truths=ground_truths, valid=valid)
    return segment_batch(batch, model, _segment_one, chunk_size=chunk_size, devices=devices)


def _segment_one(
    image: Float[Array, "h w c"],
    model: Any,
    ground_truth: Bool[Array, "h w"] | None = None,
    valid: Bool[Array, "h w"] | None = None,
) -> Segmentation:
    from iem_jax.refine import predict

    valid = jnp.ones(image.shape[:2], bool) if valid is None else valid
    with jax.named_scope("network"):
        probability = predict(model, image[None])[0]
    with jax.named_scope("polish"):
        mask = follow_colours(image, probability, model.net.polish, valid)
    return number_mask(image, mask, ground_truth, valid)


def follow_colours(
    image: Float[Array, "h w c"], probability: Float[Array, "h w"], rounds: int, valid: Bool[Array, "h w"]
) -> Bool[Array, "h w"]:
    """Fit the network's answer and the colours of its two sides to each other; the network keeps a say.

    `search.polish`, which starts from a hard mask and then looks at colours alone, draws even a perfect mask to where
    colours separate.

    Args:
      image: sRGB in [-1, 1].
      probability: of foreground, in [0, 1].
      rounds: how often; 0 takes what is more probable than not.
      valid: the picture's own pixels.

    Returns:
      The mask; the network's own where a side would be left with less than `LEAST` of the picture, or it sees one
      side only.
    """
    own = (probability > 0.5) & valid
    if not rounds:
        return own
    model = make_colour_model(jnp.where(valid[..., None], srgb_to_lab(image), 0), valid)
    sure = jnp.clip(probability, DOUBT, 1 - DOUBT)
    say = SAY * (jnp.log(sure) - jnp.log1p(-sure))

    def fit(soft: Array, _: None) -> tuple[Array, None]:
        return jax.nn.sigmoid(SLOPE * (log_odds(model, soft) + say)), None

    soft, _ = jax.lax.scan(fit, probability, length=rounds - 1)
    mask = harden(log_odds(model, soft) + say, own, valid, LEAST)
    return jnp.where(own.any() & (own != valid).any(), mask, own)
