"""The best mask of one picture: candidates from several starts, each refined, and the one with the sharpest boundary.

A candidate alternates IEM steps on a small version of the picture with a model of the two sides' colours, whose log
odds are added to IEM's gradient. At full size only the colour model refines it. All functions are for one picture,
pure and vmappable; `presets` runs them on many.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from iem_jax.config import IEMConfig
from iem_jax.core.features import scale_lab, srgb_to_lab
from iem_jax.core.frames import to_frame
from iem_jax.core.inpainting import frame_for
from iem_jax.core.masks import centred_square
from iem_jax.core.objective import closed_form_gradient, make_foreground
from iem_jax.core.solver import EMPTY, FULL, OK, IEMInfo, IEMState, Segmentation, init, step
from iem_jax.search.colour_model import harden, log_odds, make_colour_model, pool, refine
from iem_jax.search.polish import LEAST

WORKING_SIDE = 64  # candidates work on a grid of about this side
COLOUR_WEIGHT = 2e-3 * WORKING_SIDE**2  # of the log odds beside the gradient, over the number of pixels
DIVERSITY_WEIGHT = 4e-3 * WORKING_SIDE**2  # lmbda, likewise: the paper's at 128 x 128
SQUARES = (3, 4, 5, 6)  # of the softened centred square: the margins, as parts of the picture
PEAK = 0.9  # of a Gaussian start
LEAST_OF_CANDIDATE = 0.01  # fraction of the picture that a side must keep, afterwards LEAST


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Search:
    """Settings of a search.

    Attributes:
      members: features and start of each candidate; a start is "squares" or the width of a Gaussian, in sides.
      offsets: added to the log odds when a candidate is refined: one mask for each.
      rounds: of refinement at full size.
      stages: how often a candidate alternates between the colour model and IEM.
      iters: IEM steps in a stage.
    """

    members: tuple[tuple[str, str | float], ...]
    offsets: tuple[float, ...] = (0.0,)
    rounds: int = 3
    stages: int = 4
    iters: int = 12


def search(
    image: Float[Array, "h w 3"],
    settings: Search,
    ground_truth: Bool[Array, "h w"] | None = None,
    valid: Bool[Array, "h w"] | None = None,
) -> Segmentation:
    """Segment one picture.

    Args:
      image: sRGB in [-1, 1].
      settings: of the search.
      ground_truth: only counted.
      valid: the picture's own pixels, all of them by default.

    Returns:
      The mask, its status, and `info` of one entry: inpainting error, area and overlap of the mask. A picture of one
      colour, or one too small for two sides, keeps the centred square.
    """
    valid = jnp.ones(image.shape[:2], bool) if valid is None else valid
    lab = jnp.where(valid[..., None], srgb_to_lab(image), 0)
    masks = candidates(image, lab, valid, settings)
    model = make_colour_model(lab, valid)
    with jax.named_scope("refine"):
        offsets = jnp.repeat(jnp.asarray(settings.offsets, lab.dtype), masks.shape[0])
        repeated = jnp.tile(masks, (len(settings.offsets), 1, 1))
        refined = _for_each(
            lambda member: refine(model, member[0], settings.rounds, member[1], LEAST), (repeated, offsets)
        )
    with jax.named_scope("choose"):
        contrasts = jax.vmap(lambda mask: boundary_contrast(lab, mask, valid))(refined)
    return number_mask(image, refined[jnp.argmax(contrasts)], ground_truth, valid)


def candidates(
    image: Float[Array, "h w 3"], lab: Float[Array, "h w 3"], valid: Bool[Array, "h w"], settings: Search
) -> Bool[Array, "m h w"]:
    """Return a mask for each member, found on the small picture and enlarged."""
    factor = working_factor(valid.shape)
    number = pool(valid.astype(image.dtype), factor)
    known = number > 0

    def shrink(picture: Array) -> Array:
        return pool(jnp.where(valid[..., None], picture, 0), factor) / jnp.maximum(number, 1)[..., None]

    names = dict.fromkeys(name for name, _ in settings.members)
    features = {name: shrink(image if name == "rgb" else scale_lab(lab, name)) for name in names}
    starts = {start: soft_start(known, start) for _, start in settings.members}
    small_lab = shrink(lab)
    masks = _for_each(
        lambda member: candidate(member[0], small_lab, member[1], known, settings),
        (
            jnp.stack([features[name] for name, _ in settings.members]),
            jnp.stack([starts[start] for _, start in settings.members]),
        ),
    )
    enlarged = jnp.repeat(jnp.repeat(masks, factor, axis=1), factor, axis=2)
    return enlarged[:, : valid.shape[0], : valid.shape[1]] & valid[None]


def working_factor(shape: tuple[int, ...]) -> int:
    """Return by what a picture is down-sampled for its candidates: to a shorter side of 64 or somewhat more."""
    return max(1, min(shape) // WORKING_SIDE)


def candidate(
    features: Float[Array, "h w c"],
    lab: Float[Array, "h w 3"],
    start: Float[Array, "h w"],
    valid: Bool[Array, "h w"],
    settings: Search,
) -> Bool[Array, "h w"]:
    """Alternate between the colour model and IEM, beginning with the colours of a soft start."""
    model = make_colour_model(lab, valid)
    pixels = jnp.sum(valid, dtype=features.dtype)
    config = IEMConfig(sigma=2.5, kernel_size=7, lmbda=DIVERSITY_WEIGHT / pixels, smooth_threshold=5)
    odds = log_odds(model, start)
    first = harden(odds, centred_square(valid), valid, LEAST_OF_CANDIDATE)

    def stage(carry: tuple[IEMState, Array], _: None) -> tuple[tuple[IEMState, Array], None]:
        state, odds = carry
        bias = COLOUR_WEIGHT / pixels * odds
        state = step_until_settled(features, state, config, bias, settings.iters)
        return (state, log_odds(model, state.mask.astype(odds.dtype))), None

    state = init(features, config, initial_mask=first, valid=valid)
    (state, _), _ = jax.lax.scan(stage, (state, odds), length=settings.stages)
    return state.mask


def step_until_settled(
    features: Float[Array, "h w c"], state: IEMState, config: IEMConfig, bias: Float[Array, "h w"], iters: int
) -> IEMState:
    """Do `iters` steps, an even number; two of them that change nothing end it, with the same result."""

    def unfinished(carry: tuple[IEMState, Array, Array]) -> Bool[Array, ""]:
        _, done, settled = carry
        return (done < iters) & ~settled

    def two_steps(carry: tuple[IEMState, Array, Array]) -> tuple[IEMState, Array, Array]:
        state, done, _ = carry
        after, _ = jax.lax.scan(lambda s, _: (step(features, s, config, bias)[0], None), state, length=2)
        return after, done + 2, jnp.all(after.mask == state.mask)

    zero = state.status * 0  # inside a shard_map it belongs to the picture's shard, as what the loop makes of it
    return jax.lax.while_loop(unfinished, two_steps, (state, zero, zero != 0))[0]


def soft_start(valid: Bool[Array, "h w"], start: str | float) -> Float[Array, "h w"]:
    """Return a soft mask in the middle of the valid pixels: "squares", or a Gaussian of a width in sides."""
    if isinstance(start, str):
        squares = jnp.stack([centred_square(valid, part) for part in SQUARES])
        return jnp.mean(squares, axis=0, dtype=jnp.float32)

    def distance(present: Bool[Array, " n"]) -> Float[Array, " n"]:
        position = (jnp.arange(present.shape[0]) - jnp.argmax(present)).astype(jnp.float32) + 0.5
        return (position / jnp.sum(present, dtype=jnp.float32) - 0.5) ** 2

    rows, columns = distance(jnp.any(valid, axis=1)), distance(jnp.any(valid, axis=0))
    return PEAK * jnp.exp(-0.5 * (rows[:, None] + columns[None, :]) / start**2)


def boundary_contrast(
    lab: Float[Array, "h w 3"], mask: Bool[Array, "h w"], valid: Bool[Array, "h w"]
) -> Float[Array, ""]:
    """Return the mean CIELAB difference of the 4-neighbours that the mask separates; 0 if there are none."""
    difference, number = jnp.zeros((), lab.dtype), jnp.zeros((), jnp.int32)
    for axis in (0, 1):
        first, second = slice(None, -1), slice(1, None)
        one, other = (first, second) if axis == 0 else ((slice(None), first), (slice(None), second))
        separated = (mask[one] != mask[other]) & valid[one] & valid[other]
        distance = jnp.sqrt(jnp.sum((lab[one] - lab[other]) ** 2, axis=-1))
        difference += jnp.sum(jnp.where(separated, distance, 0))
        number += jnp.sum(separated, dtype=jnp.int32)
    return difference / jnp.maximum(number, 1).astype(lab.dtype)


def _for_each(function: Callable[[Any], Array], members: Any) -> Array:
    """Map over the leading axis: one after the other where caches are small and threads few, else all at once."""
    return jax.lax.platform_dependent(
        members, cpu=lambda x: jax.lax.map(function, x), default=lambda x: jax.vmap(function)(x)
    )


def number_mask(
    image: Float[Array, "h w 3"],
    mask: Bool[Array, "h w"],
    ground_truth: Bool[Array, "h w"] | None,
    valid: Bool[Array, "h w"],
) -> Segmentation:
    """Give the mask its status and numbers, or the centred square where there is nothing to segment."""
    config, frame = IEMConfig(), frame_for(valid.shape, IEMConfig())
    square = init(image, config, ground_truth=ground_truth, valid=valid)
    empty, full = ~jnp.any(mask), jnp.all(mask == valid)
    status: Int[Array, ""] = jnp.select([square.status != OK, empty, full], [square.status, EMPTY, FULL], OK)
    mask = jnp.where(status == OK, mask, square.mask)
    foreground = make_foreground(square.problem, to_frame(mask[None].astype(image.dtype), frame))
    _, inp_error = closed_form_gradient(square.problem, foreground, frame, config)
    area, overlap = foreground.sums[-2:, 0, 0].astype(jnp.int32)
    info = IEMInfo(jnp.where(jnp.isfinite(inp_error), inp_error, 0), area, overlap)
    return Segmentation(mask, status.astype(jnp.int32), jax.tree.map(lambda x: x[None], info))
