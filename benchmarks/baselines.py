"""What masks are compared with: OpenCV's GrabCut, and shapes that have not seen the picture."""

import concurrent.futures
import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8


def grabcut(image: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Segment by OpenCV's GrabCut: 5 iterations, a rectangle 10 % in."""
    import cv2

    cv2.setNumThreads(1)
    cv2.setRNGSeed(0)
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    rectangle = (width // 10, height // 10, width - 2 * (width // 10), height - 2 * (height // 10))
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(image[..., ::-1].copy(), mask, rectangle, *models, 5, cv2.GC_INIT_WITH_RECT)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def grabcut_all(images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[Bool[np.ndarray, "h w"]]:
    """Segment many pictures, a thread a core."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(grabcut, images))


def centred_square(image: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Return all but a fifth on each side, which is where IEM starts."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), bool)
    mask[height // 5 : height - height // 5, width // 5 : width - width // 5] = True
    return mask


def centred_ellipse(image: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Return the ellipse in GrabCut's rectangle, all but a tenth on each side."""
    down, across = ((np.arange(length) + 0.5) / length - 0.5 for length in image.shape[:2])
    return down[:, None] ** 2 + across**2 < 0.4**2
