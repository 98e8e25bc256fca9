"""Models, and what they say of recordings."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from . import _recordings as recordings
from . import _revox
from ._errors import RevoxWarning
from ._recordings import Path, Rates, Samples
from ._revox import Utterance

Recordings: TypeAlias = Union[Sequence[Path], Sequence[Samples]]
"""A list of files, or one of samples."""

SHOWN = 5
"""Warnings of one call that are shown."""


class Verdict(NamedTuple):
    """What a model says of two recordings."""

    score: float
    """The cosine of their embeddings, less the model's mean if it has one."""
    llr: float | None
    """The log-likelihood ratio, natural logarithm, if the model is calibrated."""
    probability: float | None
    """The probability of one speaker at the prior, if there is a ratio."""
    prior: float | None
    """How probable one speaker is before anything is heard, if there is a ratio."""
    threshold: float | None
    """The score from which on it is the same speaker, where no ratio decides."""
    decision: bool | None
    """Whether it is the same speaker; ``None`` if the model has nothing that decides."""
    warnings: list[str]
    """Why all this may mislead, in words."""


class Model:
    """A model: it makes embeddings of recordings, and says whether two have one speaker.

    ``Model("model.safetensors")`` is that of a file, ``Model()`` the small one that revox ships.
    Threads may share it.

    Raises ``OSError`` if the file cannot be read, and ``RevoxError`` if it is no model, damaged, or
    of a later version.
    """

    __slots__ = ("_native",)

    def __init__(self, path: Path | None = None) -> None:
        self._native = _revox.Model(None if path is None else os.fspath(path))

    @classmethod
    def from_bytes(cls, data: bytes) -> Model:
        """The model whose file's bytes these are."""
        model = cls.__new__(cls)
        model._native = _revox.Model.from_bytes(data)
        return model

    @property
    def name(self) -> str:
        """The name of its network, such as ``resnet34``."""
        return self._native.name

    @property
    def dim(self) -> int:
        """Values of an embedding."""
        return self._native.dim

    @property
    def sample_rate(self) -> int:
        """The rate that it hears at, Hz. Recordings at other rates are resampled."""
        return self._native.sample_rate

    @property
    def hash(self) -> str:
        """SHA-256 of its file, in hex."""
        return self._native.hash

    def embed(
        self,
        recording: Samples | Path | Recordings,
        sample_rate: Rates = None,
        *,
        channel: int | None = None,
    ) -> npt.NDArray[np.float32]:
        """The embedding ``[dim]`` of a recording, or ``[n, dim]`` of a list of them; float32.

        A recording is the path of an audio file, or an array with the samples of one channel:
        float32 or float64 with full scale 1, or int16, which is divided by 32768. Samples need
        their ``sample_rate`` in Hz: one for all, or a list of as many as there are recordings.
        Files of several channels need ``channel``, from 0. Recordings of more than five minutes are
        heard in windows of equal length.

        A list is of files or of samples. It is heard on all cores, in bounded memory but for a copy
        of the samples. Silence, noise and clipping are told by :class:`RevoxWarning`.

        Raises ``ValueError`` for samples that are empty, not finite, of several channels or too
        short, ``RevoxError`` for a damaged file, ``OSError`` for one that cannot be read: of a
        list, the first one's.
        """
        if isinstance(recording, (list, tuple)):
            utterances = self._hear(recording, sample_rate, channel)
            names = [_name(item, place) for place, item in enumerate(recording)]
            _warn(names, utterances)
            rows = [utterance.embedding for utterance in utterances]
            return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)
        [utterance] = self._hear([recording], sample_rate, channel)
        _warn([_name(recording, 0)], [utterance])
        return utterance.embedding

    def hear(
        self,
        recording: Samples | Path,
        sample_rate: int | None = None,
        *,
        channel: int | None = None,
    ) -> Utterance:
        """A recording (see :meth:`embed`) that was heard: its embedding, and how good it is."""
        [utterance] = self._hear([recording], sample_rate, channel)
        return utterance

    def compare(
        self,
        a: Samples | Path | Utterance,
        b: Samples | Path | Utterance,
        sample_rate: int | None = None,
        *,
        channel: int | None = None,
        prior: float | None = None,
    ) -> Verdict:
        """Whether two recordings (see :meth:`embed`) have the same speaker.

        The model's calibration decides, or else its threshold at equal error rate. ``prior`` is how
        probable one speaker is before anything is heard, in place of the calibration's.

        Raises, besides what :meth:`embed` raises, ``RevoxError`` if nobody speaks in a recording,
        and ``ValueError`` for a prior that cannot be, or without a calibration.
        """
        if prior is not None:
            if not 0.0 < prior < 1.0:
                raise ValueError(f"prior {prior}: above 0 and below 1 are possible")
            if self._native.prior is None:
                raise ValueError("a prior needs a calibration, which the model has not")
        if not any(isinstance(side, Utterance) for side in (a, b)):
            recordings.refuse_unused((a, b), sample_rate, channel)
        first, second = (
            side if isinstance(side, Utterance) else self._side(side, sample_rate, channel)
            for side in (a, b)
        )
        return Verdict(*self._native.compare(first, second, prior))

    def score(self, a: npt.ArrayLike, b: npt.ArrayLike) -> float:
        """The cosine of two embeddings ``[dim]``, less the model's mean if it has one."""
        first, second = (np.require(x, dtype=np.float32, requirements=["C", "A"]) for x in (a, b))
        if first.ndim != 1 or second.ndim != 1:
            raise ValueError(f"embeddings {list(first.shape)} and {list(second.shape)}")
        return self._native.score(first, second)

    def threshold(self, far: float | None = None) -> float:
        """The score from which on it is the same speaker.

        ``far`` is a false-accept rate, 0 to 1, that the model has a threshold for; without it, the
        threshold is that of the equal error rate.

        Raises ``ValueError`` if the model has no such threshold.
        """
        return self._native.threshold(far)

    def extract_embedding(
        self, audio_path: Path, *, channel: int | None = None
    ) -> npt.NDArray[np.float32]:
        """WeSpeaker's name of :meth:`embed` for a file."""
        return self.embed(audio_path, channel=channel)

    def extract_embedding_list(
        self, scp_path: Path, *, channel: int | None = None
    ) -> tuple[list[str], npt.NDArray[np.float32]]:
        """WeSpeaker's name of :meth:`embed` for a list of files, ``id path`` a line.

        Ids, and embeddings ``[n, dim]``. A path that is not absolute is looked for beside the list,
        in the folder above it, then in the working folder.
        """
        ids, paths = _revox.read_wav_scp(os.fspath(scp_path))
        return ids, self.embed(paths, channel=channel)

    def compute_similarity(
        self, audio_path1: Path, audio_path2: Path, *, channel: int | None = None
    ) -> float:
        """WeSpeaker's similarity of two files, 0 to 1: (1 + score) / 2.

        It is not a probability: :meth:`compare` gives one if the model is calibrated.
        """
        return (1.0 + self.compare(audio_path1, audio_path2, channel=channel).score) / 2.0

    def _hear(
        self, items: Sequence[object], sample_rate: Rates, channel: int | None
    ) -> list[Utterance]:
        """Hears recordings, all of them files or all of them samples."""
        paths = [recordings.path(item) for item in items]
        files = [path for path in paths if path is not None]
        if files and len(files) < len(items):
            raise TypeError("a list is of files or of samples, not of both")
        if files:
            recordings.refuse_rate(sample_rate)
            return self._native.hear_files(files, recordings.channel(channel))
        recordings.refuse_channel(channel)
        samples = [recordings.samples(item) for item in items]
        return self._native.hear_samples(samples, recordings.rates(sample_rate, len(samples)))

    def _side(self, side: Samples | Path, rate: int | None, channel: int | None) -> Utterance:
        """One side of a comparison. Rates are those of samples, channels those of files."""
        if recordings.path(side) is not None:
            return self.hear(side, channel=channel)
        return self.hear(side, rate)

    def __repr__(self) -> str:
        return f"<revox.Model {self.name}: {self.dim} values at {self.sample_rate} Hz>"


def load_model(path: Path | None = None) -> Model:
    """WeSpeaker's name of :class:`Model`."""
    return Model(path)


def _name(item: object, place: int) -> str:
    return recordings.path(item) or f"recording {place + 1}"


def _warn(names: list[str], utterances: list[Utterance]) -> None:
    """Warns the caller's caller of recordings that tell little."""
    told = []
    for name, utterance in zip(names, utterances):
        silent = ["silent; its embedding tells nothing"] if utterance.silent else []
        told += [f"{name}: {warning}" for warning in silent + utterance.warnings]
    for message in told[:SHOWN]:
        warnings.warn(message, RevoxWarning, stacklevel=3)
    if len(told) > SHOWN:
        more = f"{len(told) - SHOWN} more warnings of recordings"
        warnings.warn(more, RevoxWarning, stacklevel=3)
