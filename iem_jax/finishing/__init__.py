"""From a mask that was found to one that can be used.

Here belongs which side is the object, how far to believe the mask, and its edges at the picture's own size.
Arrays only; may use `data.fit` (where a picture lies in its square), `core` and `config`.
"""
