"""Speaker verification: is it the same voice?

    >>> import revox
    >>> model = revox.Model()                      # the model that revox ships
    >>> verdict = model.compare("a.wav", "b.wav")
    >>> verdict.score, verdict.decision

Embeddings, features, scores and error rates are those of the program ``revox``, to the bit. Work
runs on all cores (``RAYON_NUM_THREADS`` limits them) without Python's global lock.
"""

import os as _os

from . import _revox
from ._errors import RevoxError, RevoxWarning
from ._features import fbank
from ._metrics import Eer, MinDcf, eer, min_dcf, read_embeddings
from ._model import Model, Verdict, load_model
from ._revox import Utterance

# A child process lacks its parent's threads.
if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(after_in_child=_revox.forked)

__all__ = [
    "Eer",
    "MinDcf",
    "Model",
    "RevoxError",
    "RevoxWarning",
    "Utterance",
    "Verdict",
    "eer",
    "fbank",
    "load_model",
    "min_dcf",
    "read_embeddings",
]
