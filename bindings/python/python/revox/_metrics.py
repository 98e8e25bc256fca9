"""Error rates of scores, and files of embeddings."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from . import _revox
from ._recordings import Path


class Eer(NamedTuple):
    """Equal error rate."""

    rate: float
    """The rate, 0 to 1."""
    threshold: float
    """The score from which on trials are accepted there."""


class MinDcf(NamedTuple):
    """Least normalised detection cost."""

    cost: float
    """The cost, 0 to 1."""
    threshold: float
    """The score from which on trials are accepted there; infinite for none."""


def eer(scores: npt.ArrayLike, labels: npt.ArrayLike) -> Eer:
    """The equal error rate of ``scores`` ``[n]``; ``labels`` ``[n]`` are true for one speaker.

    Ties are accepted or rejected as a whole. Labels are bool, or 0 and 1.

    Raises ``ValueError`` if there are no targets, no nontargets, or a score is NaN.
    """
    return Eer(*_revox.eer(_scores(scores), _labels(labels)))


def min_dcf(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    p_target: float = 0.01,
    *,
    c_miss: float = 1.0,
    c_fa: float = 1.0,
) -> MinDcf:
    """The least detection cost of ``scores`` ``[n]`` at the prior ``p_target``, normalised.

    ``labels`` are those of :func:`eer`; a miss costs ``c_miss``, a false accept ``c_fa``.

    Raises ``ValueError`` as :func:`eer` does, and for an impossible prior or cost.
    """
    least = _revox.min_dcf(_scores(scores), _labels(labels), p_target, c_miss, c_fa)
    return MinDcf(*least)


def read_embeddings(path: Path) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Ids and embeddings ``[n, dim]`` of a file that ``revox embed`` wrote.

    NumPy's ``.npz``, other tools' safetensors files and Kaldi's archives are read too.
    """
    return _revox.read_embeddings(os.fspath(path))


def _scores(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    scores = np.require(values, dtype=np.float64, requirements=["C", "A"])
    _check("scores", scores.shape)
    return scores


def _labels(values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    labels = np.asarray(values)
    _check("labels", labels.shape)
    if labels.dtype != np.bool_ and not ((labels == 0) | (labels == 1)).all():
        raise ValueError("labels are bool, or 0 and 1")
    return np.require(labels, dtype=np.bool_, requirements=["C", "A"])


def _check(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 1:
        raise ValueError(f"{name} {list(shape)}: one dimension is wanted")
