"""The algorithm for one image: `init`, then `step` in one `lax.scan` (paper, algorithm 1; SPEC section 2).

All functions are pure, unbatched and jittable; `batch.segment` runs them on many images.

Differs from the reference: 1. the gradient is in closed form and each filter runs once (SPEC section 4), with the same
masks; 2. a mask that would become empty or full stays as it was and the image's status says so; 3. a uniform
image, whose gradient is rounding noise, keeps its first mask; 4. pixels outside `valid` belong to neither side.
"""

from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from iem_jax.config import IEMConfig
from iem_jax.core.callers import for_callers
from iem_jax.core.frames import shifted, store_framed, to_frame
from iem_jax.core.inpainting import frame_for
from iem_jax.core.masks import boundary, centred_square, smooth, update_mask
from iem_jax.core.objective import Foreground, Problem, closed_form_gradient, make_foreground, make_problem

STATUSES = ("ok", "empty", "full", "uniform", "invalid")
OK, EMPTY, FULL, UNIFORM, INVALID = range(len(STATUSES))


class IEMState(NamedTuple):
    """What the next step needs; `mask` is the mask."""

    status: Int[Array, ""]  # index into STATUSES
    valid: Bool[Array, "h w"]  # the picture's own pixels; never changes
    problem: Problem  # what the gradient needs of the image; never changes
    foreground: Foreground  # the mask, as the gradient needs it

    @property
    def mask(self) -> Bool[Array, "h w"]:
        """The current mask."""
        height, width = self.valid.shape
        plane = self.foreground.planes[-2]
        top = (plane.shape[0] - height) // 2
        return plane[top : top + height, :width] > 0


class IEMInfo(NamedTuple):
    """What a person wants to see of one step."""

    inp_error: Float[Array, ""]  # of the mask before the step
    area: Int[Array, ""]  # foreground pixels of the mask after the step
    overlap: Int[Array, ""]  # those of them that are foreground in the ground truth


class Segmentation(NamedTuple):
    """The result for one image; from `segment`, every field has a leading batch axis."""

    mask: Bool[Array, "h w"]
    status: Int[Array, ""]  # index into STATUSES
    info: IEMInfo  # fields (T,), an entry for each iteration
    consensus: Float[Array, ""] | None = None  # of a search among several masks: in [0, 1], see `search`


@for_callers
def init(
    image: Any,
    config: IEMConfig,
    *,
    ground_truth: Any = None,
    initial_mask: Any = None,
    valid: Any = None,
) -> IEMState:
    """Start from the centred square, or from `initial_mask`.

    Args:
      image: (H, W, C), floating point in [-1, 1] or uint8, any number of channels; computed in float32.
      config: settings; `features` and `size` are not looked at.
      ground_truth: (H, W), true for foreground, as the other masks; only counted, in `IEMInfo.overlap`.
      initial_mask: the first mask.
      valid: the picture's own pixels, all of them by default; the others belong to neither side.

    Returns:
      The state before the first step.

    Raises:
      UsageError: shapes, dtypes or settings that cannot work; of `step` and `run`, too.
    """
    shape, dtype = image.shape[:2], image.dtype
    valid = jnp.ones(shape, bool) if valid is None else valid
    truth = jnp.zeros(shape, bool) if ground_truth is None else ground_truth
    mask = centred_square(valid) if initial_mask is None else initial_mask & valid
    problem = make_problem(image, valid, truth, config)
    foreground = make_foreground(problem, to_frame(mask[None].astype(dtype), frame_for(shape, config)))
    highest = jnp.max(jnp.where(valid[..., None], image, -jnp.inf), axis=(0, 1))
    lowest = jnp.min(jnp.where(valid[..., None], image, jnp.inf), axis=(0, 1))
    status = _status(jnp.all(highest <= lowest), jnp.sum(mask, dtype=dtype), jnp.sum(valid, dtype=dtype))
    return IEMState(status, valid, problem, foreground)


@for_callers
def step(image: Any, state: IEMState, config: IEMConfig) -> tuple[IEMState, IEMInfo]:
    """Do one iteration: boundary pixels take the sign of the gradient, then the mask is smoothed.

    Args:
      image: the image that `state` was made for.
      state: from `init` or the step before.
      config: the settings that `state` was made with.

    Returns:
      The next state, and what there is to see of this step.
    """
    frame = frame_for(image.shape[:2], config)
    problem, valid, old = state.problem, state.problem.valid, state.foreground.planes[-2:-1]
    gradient, inp_error = closed_form_gradient(problem, state.foreground, frame, config)
    with jax.named_scope("boundary"):
        edge = boundary(old, valid, frame)
    with jax.named_scope("update"):
        mask = update_mask(old, gradient, edge, valid, frame)
    with jax.named_scope("smooth"):
        mask = smooth(mask, valid, frame, config.smooth_threshold)
    status = _status(state.status == UNIFORM, jnp.sum(mask), problem.sums[-1, 0, 0])
    status = jnp.where((state.status == OK) | (status == OK), status, state.status)  # a one-sided start may stay one
    mask = jnp.where(status == OK, mask, shifted(old, frame))
    foreground = make_foreground(problem, store_framed(mask, frame))
    finite_error = jnp.where(jnp.isfinite(inp_error), inp_error, 0)  # a first mask may have one side only
    area, overlap = foreground.sums[-2:, 0, 0].astype(jnp.int32)
    return state._replace(status=status, foreground=foreground), IEMInfo(finite_error, area, overlap)


@for_callers
def run(
    image: Any,
    config: IEMConfig,
    *,
    ground_truth: Any = None,
    initial_mask: Any = None,
    valid: Any = None,
) -> Segmentation:
    """Segment one image: all iterations in one scan.

    Args:
      image: as for `init`, and so the others.
      config: settings.
      ground_truth: only counted, in `info.overlap`.
      initial_mask: where the search starts.
      valid: the picture's own pixels.

    Returns:
      The mask after the last iteration, its status, and the history. `info.inp_error` can be differentiated by the
      picture, `sigma` and `lmbda`, forwards and backwards; a mask is a step, whose derivative is 0.
    """
    state = init(image, config, ground_truth=ground_truth, initial_mask=initial_mask, valid=valid)
    state, info = jax.lax.scan(lambda state, _: step(image, state, config), state, length=config.iters)
    return Segmentation(state.mask, state.status, info)


def _status(uniform: Bool[Array, ""], area: Float[Array, ""], pixels: Float[Array, ""]) -> Int[Array, ""]:
    sided = jnp.where(area == 0, EMPTY, jnp.where(area == pixels, FULL, OK))
    return jnp.where(uniform, UNIFORM, sided).astype(jnp.int32)


for _kind in (IEMInfo, Segmentation, Problem, Foreground, IEMState):  # so that `jax.export` can write them down
    jax.export.register_namedtuple_serialization(_kind, serialized_name=f"iem_jax.{_kind.__name__}")
