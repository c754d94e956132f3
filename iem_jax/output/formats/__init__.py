"""What programs for labelling and training read: one file a format, all fed by the same rows.

A format is a function of a `Ledger`, `Rows` and `Options` that writes below exports/ in the output folder. It goes
through the rows as a stream, as often as it needs. It may use what output/ may use; only an export imports it.
"""

FORMATS = ("coco", "yolo", "labelme", "label_studio", "cvat", "huggingface")
