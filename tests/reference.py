"""IEM written plainly from SPEC section 2: slow, float64, sharing no code with the package.

The inpainter and the objective take the array module as `xp`, so that the same lines serve as the NumPy reference and,
with jax.numpy under 64 bits, as what `jax.grad` differentiates.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

EPSILON = 1e-8


def gaussian(config: Any) -> np.ndarray:
    taps = np.arange(config.kernel_size, dtype=np.float64) - config.kernel_size // 2
    weights = np.exp(-0.5 * taps**2 / float(config.sigma) ** 2)
    return weights / weights.sum()


def correlate(stack: Any, kernel: np.ndarray, axis: int, xp: Any) -> Any:
    """Correlate along an axis with zero padding."""
    half, length = len(kernel) // 2, stack.shape[axis]
    padded = xp.pad(stack, [(half, half) if axis == other else (0, 0) for other in range(3)])
    taps = np.arange(length)[:, None] + np.arange(len(kernel))
    return xp.einsum("hkwc,k->hwc" if axis == 0 else "hwkc,k->hwc", xp.take(padded, taps, axis=axis), kernel)


def filtered(stack: Any, config: Any, xp: Any = np) -> Any:
    height, width, channels = stack.shape
    scale = config.scale_factor
    small = stack.reshape(height // scale, scale, width // scale, scale, channels).mean(axis=(1, 3))
    for _ in range(config.reps):
        small = correlate(correlate(small, gaussian(config), 0, xp), gaussian(config), 1, xp)
    full = xp.repeat(xp.repeat(small, scale, axis=0), scale, axis=1)
    return full + EPSILON * stack.sum(axis=(0, 1), keepdims=True)


def inpaint(image: Any, known: Any, config: Any, xp: Any = np) -> Any:
    stack = xp.concatenate([image * known[:, :, None], known[:, :, None]], axis=2)
    result = filtered(stack, config, xp)
    return result[:, :, :-1] / result[:, :, -1:]


def inpainting_error(image: Any, mask: Any, config: Any, xp: Any = np) -> Any:
    total = 0.0
    for hidden, known in ((mask, 1 - mask), (1 - mask, mask)):
        error = xp.abs(image - inpaint(image, known, config, xp)).mean(axis=2)
        total = total + (hidden * error).sum() / hidden.sum()
    return total


def diversity(image: Any, mask: Any) -> Any:
    total = 0.0
    for side in (mask, 1 - mask):
        for channel in range(image.shape[2]):
            mean = (side * image[:, :, channel]).sum() / side.sum()
            total = total + (side * (image[:, :, channel] - mean) ** 2).sum()
    return total


def objective(image: Any, mask: Any, config: Any, xp: Any = np) -> Any:
    return inpainting_error(image, mask, config, xp) - float(config.lmbda) * diversity(image, mask)


def make_gradient(config: Any) -> Any:
    """Return (image, mask) -> `jax.grad` of the plain objective in float64, as NumPy."""
    function = jax.jit(jax.grad(lambda mask, image: objective(image, mask, config, jnp)))

    def gradient(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with jax.enable_x64(True):
            return np.asarray(function(np.asarray(mask, np.float64), np.asarray(image, np.float64)))

    return gradient


def centred_square(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[height // 5 : height - height // 5, width // 5 : width - width // 5] = True
    return mask


def neighbours(mask: np.ndarray, row: int, column: int) -> list[bool]:
    """The four neighbours; None stands for outside the image."""
    height, width = mask.shape
    found = []
    for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
        found.append(mask[r, c] if 0 <= r < height and 0 <= c < width else None)
    return found


def boundary(mask: np.ndarray) -> np.ndarray:
    marked = np.zeros(mask.shape, bool)
    for row, column in np.ndindex(mask.shape):
        marked[row, column] = any(
            other is None or other != mask[row, column] for other in neighbours(mask, row, column)
        )
    return marked


def smooth(mask: np.ndarray) -> np.ndarray:
    result = np.zeros(mask.shape, bool)
    for row, column in np.ndindex(mask.shape):
        result[row, column] = mask[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].sum() >= 4
    return result


def update_mask(mask: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    result = mask.copy()
    may_change = boundary(mask) & (gradient != 0)
    result[may_change] = gradient[may_change] > 0
    return result


def run(image: np.ndarray, config: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the last mask, and the inpainting error before each step."""
    image = np.asarray(image, np.float64)
    gradient = make_gradient(config)
    mask, errors = centred_square(*image.shape[:2]), []
    for _ in range(config.iters):
        errors.append(inpainting_error(image, mask.astype(np.float64), config))
        mask = smooth(update_mask(mask, gradient(image, mask)))
    return mask, np.array(errors)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return (mask & truth).sum() / (mask | truth).sum()


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


def accuracy(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask == truth).mean())


def scores(mask: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Score one mask (SPEC section 2, Scores)."""
    best = {f.__name__: max(f(mask, truth), f(~mask, truth)) for f in (accuracy, iou, dice)}
    fixed = {f"{f.__name__}_fixed": f(mask, truth) for f in (accuracy, iou, dice)}
    other = max(iou(mask, ~truth), iou(~mask, ~truth))
    return best | fixed | {"miou": (best["iou"] + other) / 2}
