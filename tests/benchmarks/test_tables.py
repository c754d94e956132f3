"""Tables of the report, from records small enough to be read."""

from make_report import folder
from subject_tables import against_grabcut


def test_presets_and_grabcut_stand_in_one_table():
    scores = {place: {"iou_fixed": 61.0, "iou": 62.0} for place in ("cats", "mean")}
    time = {"milliseconds": {"median": 12.34}}
    report = {"pictures": {"cats": 3}, "methods": {"fast": scores, "grabcut": scores}}
    text = against_grabcut({"report": report, "time": {"fast": time, "grabcut": time}})
    assert "| fast | 12.3 | 61.0 / 62.0 | 61.0 / 62.0 |" in text
    assert "| GrabCut | 12.3 |" in text


def test_folders_stand_before_first_and_second_runs():
    seconds = [{"seconds": 1.0, "cpu_seconds": 2.0}, {"seconds": 3.0, "cpu_seconds": 4.0}]
    compared = {"bare": seconds, "runs": seconds, "ratio": 1.5, "cpu_ratio": 2.5, "ratio_of_each_further_picture": 3.5}
    text = folder(
        {
            **{"pictures": 2, "pixels": [40, 30], "default": compared, "cutouts_overlays": compared},
            "first_and_second_run": {"fast": {"1": seconds, "48": seconds}},
            "machine": {"cores": 2, "python": "3"},
            "versions": {"pillow": "1"},
        }
    )
    assert "| masks; bare: decoding | 2.00 / 3.00 | 2.00 / 3.00 | 1.50 | 2.50 | 3.50 |" in text
    assert text.index("masks; bare") < text.index("cut-outs") < text.index("| fast | 1.0 / 2.0 | 3.0 / 4.0 |")
