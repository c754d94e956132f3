"""Which devices a run computes on."""

from collections.abc import Sequence

import jax

from iem_jax.config import UsageError, check_positive_integer
from iem_jax.core.arrays import Device


def choose_devices(platform: str | None, number: int | None) -> tuple[Device, ...]:
    """Return the first `number` local devices, all by default, of a platform, or of JAX's own choice.

    Raises:
      UsageError: there are none, or not as many; the text says which there are.
    """
    try:
        devices = jax.local_devices(backend=platform)
    except RuntimeError:
        found = ", ".join(sorted({device.platform for device in jax.devices()}))
        raise UsageError(f"`platform` must be one that exists here ({found}), got {platform!r}.") from None
    if number is None:
        return tuple(devices)
    check_positive_integer("devices", number)
    if number > len(devices):
        raise UsageError(f"`devices` must be at most {len(devices)} here ({devices[0].device_kind}), got {number}.")
    return tuple(devices[:number])


def describe(devices: Sequence[Device]) -> str:
    """Return how many devices of what kind, for people."""
    first = devices[0]
    times = f"{len(devices)} x " if len(devices) > 1 else ""
    return f"{times}{first.device_kind} ({first.platform})"
