"""Agreement of the lower precisions with the reference's masks, by rounding the filters' operands as a GPU would.

python benchmarks/bench_precision.py --dataset_path=PATH

TF32 keeps 10 bits of the mantissa, bfloat16 7. On a GPU the flag itself can be compared: the first row is then real.
"""

import jax
import numpy as np
from absl import app, flags
from measuring import load_flowers, write_results

import iem_jax
from iem_jax.core import batch, inpainting

flags.DEFINE_string("dataset_path", "../shared/flowers17", "Flowers data set with ground truth.")
flags.DEFINE_integer("pictures", 96, "Pictures to segment.")

MANTISSAS = {"float32": 23, "tf32": 10, "bfloat16": 7}


def main(_: list[str]) -> None:
    """Segment with operands of each width, and compare with the default."""
    images, truths = load_flowers(flags.FLAGS.dataset_path, flags.FLAGS.pictures)
    expected = np.asarray(iem_jax.segment(images).mask)
    real, results = inpainting._blur_by_matrices, {}
    for name, bits in MANTISSAS.items():

        def rounded(planes, kernel, frame, precision, bits=bits):
            planes, kernel = (jax.lax.reduce_precision(x, 8, bits) for x in (planes, kernel))
            return real(planes, kernel, frame, precision)

        inpainting._blur_by_matrices = rounded
        batch._compiled_for.cache_clear()
        masks = np.asarray(iem_jax.segment(images, iem_jax.IEMConfig(precision="default")).mask)
        scores = iem_jax.score_masks(masks, truths)
        results[name] = {"agreement": float((masks == expected).mean()), "iou": float(np.nanmean(scores.iou))}
    write_results("precision", {"pictures": len(images)}, results)


if __name__ == "__main__":
    app.run(main)
