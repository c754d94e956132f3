"""The paper's numbers (SPEC section 6), in percent: what a table of one's own runs is put beside."""

MEASURES = ("accuracy", "iou", "miou", "dice")
Numbers = tuple[float | None, float | None, float | None, float | None]

PUBLISHED: dict[str, dict[str, Numbers]] = {
    "flowers": {
        "GrabCut": (82.0, 69.2, 70.0, 79.1),
        "ReDO": (87.9, 76.4, None, None),
        "IEM": (88.3, 76.8, 79.0, 84.6),
        "IEM + SegNet": (89.6, 78.9, 80.8, 86.0),
    },
    "cub": {
        "GrabCut": (72.3, 36.0, 52.3, 48.7),
        "ReDO": (84.5, 42.6, None, None),
        "IEM": (88.6, 52.2, 69.6, 66.0),
        "IEM + SegNet": (89.3, 55.1, 71.4, 68.7),
    },
    "lsun_car": {
        "GrabCut": (69.1, 57.6, 53.4, 71.8),
        "IEM": (76.2, 65.1, 61.5, 78.1),
        "IEM + SegNet": (77.8, 68.5, 63.2, 80.5),
    },
}
