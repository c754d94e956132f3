"""Smoothing that follows contrast: neighbours of like colour want to be on one side. One picture, pure, vmappable.

The model is GrabCut's (Rother et al., 2004): log odds for each pixel by colour, and for each pair of 8-neighbours a
bond exp(-beta d^2) / distance, d their difference in CIELAB and 1 / beta twice the mean d^2 of the picture. In place of
a graph cut, mean field: each pixel's probability follows its log odds and its neighbours' probabilities.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from iem_jax.search.colour_model import ColourModel, log_odds
from iem_jax.search.places import EIGHT, HALF, neighbours

STRENGTH = 0.45  # of a bond, in log odds
STEPS = 5  # of mean field between two fits of the colours


def make_bonds(lab: Float[Array, "h w 3"], valid: Bool[Array, "h w"]) -> Float[Array, "8 h w"]:
    """Return the bond of each pixel with each of its neighbours, 0 with those that are not valid."""
    planes, own = jnp.moveaxis(lab, -1, 0), valid.astype(lab.dtype)
    difference = sum((plane[None] - neighbours(plane, HALF)) ** 2 for plane in planes)
    pair = own[None] * neighbours(own, HALF)
    beta = jnp.sum(pair) / (2 * jnp.maximum(jnp.sum(pair * difference), 1e-6))
    length = np.asarray([np.hypot(*offset) for offset in HALF], np.float32)[:, None, None]
    bonds = STRENGTH * pair * jnp.exp(-beta * difference) / length
    back = [neighbours(bond, [(-dy, -dx)])[0] for bond, (dy, dx) in zip(bonds, HALF, strict=True)]
    return jnp.concatenate([bonds, jnp.stack(back)])


def smooth_odds(odds: Float[Array, "h w"], bonds: Float[Array, "8 h w"]) -> Float[Array, "h w"]:
    """Return the log odds of foreground after `STEPS` of mean field, beginning with those that are given."""

    def spread(now: Array, _: None) -> tuple[Array, None]:
        side = jnp.tanh(now / 2)  # the expectation of +1 and -1
        # One plane after the other: under vmap, XLA writes down a stack of them, at ten times the time.
        pulls = (bond * neighbours(side, [offset])[0] for bond, offset in zip(bonds, EIGHT, strict=True))
        return odds + functools.reduce(jnp.add, pulls), None

    return jax.lax.scan(spread, odds, length=STEPS)[0]


def fit_smoothly(
    model: ColourModel,
    bonds: Float[Array, "8 h w"],
    mask: Float[Array, "h w"],
    prior: Float[Array, "h w"],
    rounds: int,
) -> Float[Array, "h w"]:
    """Refit colours and a soft mask to each other, `rounds` times.

    Args:
      model: of the picture's colours.
      bonds: from `make_bonds`.
      mask: where to begin, in [0, 1].
      prior: log odds that are added in every round.
      rounds: at least 1.

    Returns:
      The last round's log odds.
    """

    def fit(odds: Array, _: None) -> tuple[Array, None]:
        soft = jnp.where(model.valid, jax.nn.sigmoid(odds), 0)
        return smooth_odds(log_odds(model, soft) + prior, bonds), None

    start = jnp.log(jnp.maximum(mask, 1e-6)) - jnp.log(jnp.maximum(1 - mask, 1e-6))
    return jax.lax.scan(fit, start, length=rounds)[0]
