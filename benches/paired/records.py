"""Files of runs: records and models."""

import hashlib
import json


def write(path, value):
    """Writes JSON, at once or not at all."""
    other = path.with_name(f".{path.name}.new")
    other.write_text(json.dumps(value, indent=1) + "\n")
    other.replace(path)


def weights_digest(path):
    """SHA-256 of a safetensors file behind its header: the tensors, without the recipe."""
    with open(path, "rb") as file:
        header = int.from_bytes(file.read(8), "little")
        file.seek(8 + header)
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_of(out, name, seed):
    """The record of a run, if there is one."""
    path = out / f"{name}-{seed}.json"
    return json.loads(path.read_text()) if path.exists() else None


def model_of(record):
    """Where a finished run has left its model."""
    return record.get("model") or record["report"]["model"]


def rates_of(answer):
    """EER and minDCF(0.01) of what a verb tells."""
    return {"eer": float(answer["eer"]), "min_dcf": float(answer["min_dcf"]["0.01"])}
