"""The best mask of one picture: what the border says of it and the colours of two sides, fitted to each other.

The search is on a small version of the picture. What the border says (`border`) is a prior; two starts in the middle
are each refitted to their own colours, with the prior and with smoothing that follows contrast (`smoothing`), and
their weighted mean is the vote. At full size the vote is fitted once more, and what the mask encloses is filled
(`holes`). All functions are for one picture, pure and vmappable; `presets` runs them on many.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from iem_jax.config import IEMConfig
from iem_jax.core.features import srgb_to_lab
from iem_jax.core.frames import to_frame
from iem_jax.core.inpainting import frame_for
from iem_jax.core.masks import centred_square
from iem_jax.core.objective import closed_form_gradient, make_foreground
from iem_jax.core.solver import EMPTY, FULL, OK, IEMInfo, Segmentation, init
from iem_jax.search.border import border_log_odds
from iem_jax.search.colour_model import (
    ColourModel,
    colour_bins,
    colour_log_odds,
    harden,
    make_colour_model,
    place_log_odds,
    pool,
)
from iem_jax.search.holes import fill_holes
from iem_jax.search.places import enlarge, places
from iem_jax.search.polish import LEAST
from iem_jax.search.smoothing import fit_smoothly, make_bonds, smooth_odds

WORKING_SIDE = 64  # the search works on a grid of about this side
SQUARES = (3, 4, 5, 6)  # of the softened centred square: the margins, as parts of the picture
RECTANGLE, INSIDE = 0.1, 0.8  # the other start: its margin, and its probability of foreground
RECTANGLE_WEIGHT = 0.5  # of what became of the rectangle, in the vote
ROUNDS = 4  # of fitting colours and mask to each other on the small picture
PRIOR_WEIGHT, VOTE_WEIGHT = 0.5, 1.5  # at full size, of the border's log odds and of the vote


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Search:
    """Settings of a search.

    Attributes:
      blocks: side of the grid of regions that are joined to the border, or not.
      last_rounds: of fitting colours and mask to each other at full size; 0 to ask the small picture's colours once.
    """

    blocks: int = 12
    last_rounds: int = 0


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
      The mask, its status, `info` of one entry (inpainting error, area and overlap of the mask), and the consensus:
      the soft IoU of the mask with the vote. A picture of one colour, or one too small for two sides, keeps the
      centred square.
    """
    # Made of the picture, so that inside `shard_map` it is shared as the picture is.
    valid = image[..., 0] * 0 == 0 if valid is None else valid
    lab = jnp.where(valid[..., None], srgb_to_lab(image), 0)
    factor = working_factor(valid.shape)
    number = pool(valid.astype(lab.dtype), factor)
    small = pool(lab, factor) / jnp.maximum(number, 1)[..., None]
    model = make_colour_model(small, number > 0, with_texture=True)
    with jax.named_scope("vote"):
        vote, prior = vote_on_small(model, small, settings)
    with jax.named_scope("refine"):
        mask, full_vote = refine_vote(model, vote, prior, lab, valid, settings.last_rounds)
        mask = fill_holes(mask, valid)
    result = number_mask(image, mask, ground_truth, valid)
    return result._replace(consensus=soft_iou(full_vote, result.mask, valid))


def working_factor(shape: tuple[int, ...]) -> int:
    """Return by what a picture is down-sampled for the search: to a shorter side of 64 or somewhat more."""
    return max(1, min(shape) // WORKING_SIDE)


def vote_on_small(
    model: ColourModel, lab: Float[Array, "h w 3"], settings: Search
) -> tuple[Float[Array, "h w"], Float[Array, "h w"]]:
    """Return the weighted mean of the soft masks from both starts, in [0, 1], and the border's log odds."""
    valid, bonds = model.valid, make_bonds(lab, model.valid)
    prior = border_log_odds(lab, valid, settings.blocks)
    starts = jnp.stack([soft_square(valid), soft_rectangle(valid)])
    odds = jax.lax.map(lambda start: fit_smoothly(model, bonds, start, prior, ROUNDS), starts)
    of_square, of_rectangle = jax.nn.sigmoid(odds)
    vote = (of_square + RECTANGLE_WEIGHT * of_rectangle) / (1 + RECTANGLE_WEIGHT)
    return jnp.where(valid, vote, 0), prior


def refine_vote(
    model: ColourModel,
    vote: Float[Array, "hs ws"],
    prior: Float[Array, "hs ws"],
    lab: Float[Array, "h w 3"],
    valid: Bool[Array, "h w"],
    rounds: int,
) -> tuple[Bool[Array, "h w"], Float[Array, "h w"]]:
    """Bring the small picture's vote to full size: each pixel asks its own colour, and its neighbours.

    Args:
      model: of the small picture.
      vote: in [0, 1].
      prior: the border's log odds.
      lab: the picture at full size, CIELAB.
      valid: its own pixels.
      rounds: of refitting colours and mask to each other; 0 for the colours of the small picture.

    Returns:
      The mask, and the vote at full size. Where a side would be left empty, the mask of the vote alone, or the
      centred square.
    """
    factor, bonds = working_factor(valid.shape), make_bonds(lab, valid)

    def to_full(plane: Float[Array, "hs ws"]) -> Float[Array, "h w"]:
        return jnp.where(valid, enlarge(plane, model.valid, factor, valid.shape), 0)

    evidence, full_vote = PRIOR_WEIGHT * prior + VOTE_WEIGHT * (2 * vote - 1), to_full(vote)
    if rounds:
        own = make_colour_model(lab, valid, with_texture=True)
        odds = fit_smoothly(own, bonds, full_vote, to_full(evidence), rounds)
    else:
        by_colour = colour_log_odds(model, vote, colour_bins(lab))
        odds = smooth_odds(by_colour + to_full(evidence + place_log_odds(model, vote)), bonds)
    by_vote = harden(full_vote - 0.5, centred_square(valid), valid, LEAST)
    return harden(odds, by_vote, valid, LEAST), full_vote


def soft_iou(soft: Float[Array, "h w"], mask: Bool[Array, "h w"], valid: Bool[Array, "h w"]) -> Float[Array, ""]:
    """Return the overlap of a mask with a soft one over their union, 0 if both are empty."""
    both = jnp.sum(jnp.where(mask & valid, soft, 0))
    either = jnp.sum(mask & valid, dtype=soft.dtype) + jnp.sum(jnp.where(~mask & valid, soft, 0))
    return both / jnp.maximum(either, 1)


def soft_square(valid: Bool[Array, "h w"]) -> Float[Array, "h w"]:
    """Return the mean of centred squares of several sizes."""
    squares = jnp.stack([centred_square(valid, part) for part in SQUARES])
    return jnp.mean(squares, axis=0, dtype=jnp.float32)


def soft_rectangle(valid: Bool[Array, "h w"]) -> Float[Array, "h w"]:
    """Return all but a margin, where foreground is likely."""
    rows, columns = ((axis >= RECTANGLE) & (axis < 1 - RECTANGLE) for axis in places(valid))
    return jnp.where(rows[:, None] & columns[None] & valid, INSIDE, 0.0)


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
