"""Filter banks."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from . import _recordings as recordings
from . import _revox
from ._recordings import Path, Samples


def fbank(
    recording: Samples | Path,
    sample_rate: int | None = None,
    *,
    to_rate: int = 16000,
    mels: int = 80,
    window: Literal["hamming", "povey", "hanning"] = "hamming",
    frame_length_ms: float = 25.0,
    frame_shift_ms: float = 10.0,
    scale: float = 32768.0,
    preemphasis: float = 0.97,
    low_freq: float = 20.0,
    high_freq: float = 0.0,
    snip_edges: bool = True,
    cmn: bool = False,
    channel: int | None = None,
) -> npt.NDArray[np.float32]:
    """Kaldi's log-mel filter banks ``[frames, mels]``, float32, without dither.

    ``recording`` is a file or the samples of one channel (see :meth:`Model.embed`) with their
    ``sample_rate`` in Hz. Other rates than ``to_rate`` are resampled to it first, as
    ``revox fbank`` does. ``scale`` is the full scale that the filters see, ``high_freq`` counts
    from half the rate unless it is above 0, and ``cmn`` subtracts each filter's mean over time.

    Raises ``ValueError`` for impossible settings and recordings, ``RevoxError`` for damaged files.
    """
    settings: dict[str, object] = {
        "rate": recordings.rate(to_rate),
        "mels": recordings.count("mels", mels),
        "window": window,
        "frame_length_ms": frame_length_ms,
        "frame_shift_ms": frame_shift_ms,
        "scale": scale,
        "preemphasis": preemphasis,
        "low_freq": low_freq,
        "high_freq": high_freq,
        "snip_edges": snip_edges,
        "cmn": cmn,
    }
    path = recordings.path(recording)
    if path is not None:
        recordings.refuse_rate(sample_rate)
        return _revox.fbank_of_file(path, recordings.channel(channel), settings)
    recordings.refuse_channel(channel)
    samples = recordings.samples(recording)
    return _revox.fbank_of_samples(samples, recordings.rate(sample_rate), settings)
