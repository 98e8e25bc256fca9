"""What users call a recording, as the native half takes it."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from typing import Any, TypeAlias, Union

import numpy as np
import numpy.typing as npt

Path: TypeAlias = Union[str, "os.PathLike[str]"]
"""The path of a file."""

Samples: TypeAlias = npt.NDArray[Any]
"""Samples of one channel: int16, or float32 or float64 with full scale 1."""

Rates: TypeAlias = Union[int, Sequence[int], npt.NDArray[np.integer[Any]], None]
"""The rate of samples in Hz, or one for each recording of a list."""

LARGEST = 100.0
"""Floating-point samples beyond this are 16-bit steps rather than shares of full scale."""


def path(value: object) -> str | None:
    """The path, if ``value`` is one."""
    if isinstance(value, (str, os.PathLike)):
        return os.fsdecode(value)
    return None


def samples(value: Any) -> npt.NDArray[np.float32]:
    """Samples of one channel as float32 with full scale 1: int16 are divided by 32768."""
    if not isinstance(value, np.ndarray) and not hasattr(value, "__array__"):
        raise TypeError(
            f"a recording is a path or an array of samples, not {type(value).__name__}; "
            "`numpy.asarray(x, dtype='float32')` makes an array"
        )
    array = np.asarray(value)
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1:
        shape = list(array.shape)
        channel = "x[:, 0]" if array.ndim == 2 and shape[0] > shape[1] else "x[0]"
        raise ValueError(f"samples {shape}: those of one channel are wanted, such as `{channel}`")
    if array.dtype.kind == "i" and array.dtype.itemsize == 2:
        return np.ascontiguousarray(array, dtype=np.float32) / np.float32(32768)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise ValueError(
            f"samples are {array.dtype}: int16, float32 and float64 are taken; "
            "divide others by their full scale"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.require(array, dtype=np.float32, requirements=["C", "A"])
        largest = max(single.max(), -single.min()) if single.size else 0.0
    if LARGEST < largest < np.inf:
        raise ValueError(
            f"floating-point samples reach {largest:g}, but full scale is 1: "
            "give them as int16, or divide them by 32768"
        )
    return single


def rate(value: object) -> int:
    """A rate in Hz."""
    if value is None:
        raise ValueError("samples need their sample_rate, Hz")
    try:
        found = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"sample_rate {value!r}: a whole number of Hz is wanted") from None
    if not 0 < found < 2**32:
        raise ValueError(f"sample_rate {found}: not a rate of audio")
    return found


def channel(value: object) -> int | None:
    """A channel of files, from 0."""
    return None if value is None else count("channel", value)


def refuse_rate(value: object) -> None:
    """A file's rate is in the file."""
    if value is not None:
        raise ValueError("sample_rate is that of samples: a file has its own")


def refuse_channel(value: object) -> None:
    """Samples have one channel."""
    if value is not None:
        raise ValueError("channel is that of files: samples have one")


def refuse_unused(sides: Sequence[object], sample_rate: object, channel: object) -> None:
    """A rate where there are only files, or a channel where there are only samples."""
    is_file = [path(side) is not None for side in sides]
    if all(is_file):
        refuse_rate(sample_rate)
    if not any(is_file):
        refuse_channel(channel)


def rates(value: object, count: int) -> list[int]:
    """The rate of each of ``count`` recordings."""
    if count == 0:
        return []
    if not isinstance(value, (list, tuple, np.ndarray)):
        return [rate(value)] * count
    if len(value) != count:
        raise ValueError(f"{len(value)} sample rates of {count} recordings")
    return [rate(item) for item in value]


def count(name: str, value: object) -> int:
    """A whole number that is not negative."""
    try:
        found = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} {value!r}: a whole number is wanted") from None
    if not 0 <= found < 2**31:
        raise ValueError(f"{name} {found}: not possible")
    return found
