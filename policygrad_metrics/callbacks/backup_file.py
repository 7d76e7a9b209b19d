"""The file of a training backup: plain JSON and arrays under a checksum.

    policygrad_metrics backup 1 sha256 <of everything below>
    {"state": {...}, "arrays": [{"dtype": "float32", "shape": [3, 8]}, ...]}
    <the arrays' bytes, one after the other>

Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MAGIC = b"policygrad_metrics backup 1 sha256 "


def pack(state: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> bytes:
    """The content of a backup file.

    Args:
        state: plain JSON values.
        arrays: of any numeric type and shape.
    """
    arrays = [np.asarray(array) for array in arrays]
    table = [{"dtype": array.dtype.name, "shape": list(array.shape)} for array in arrays]
    head = json.dumps({"state": state, "arrays": table}).encode()
    body = b"".join([head, b"\n", *(array.tobytes() for array in arrays)])
    return b"".join([MAGIC, hashlib.sha256(body).hexdigest().encode(), b"\n", body])


def unpack(content: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The inverse of `pack`.

    Raises:
        ValueError: it is no backup file, or not the whole of it; the message says which.

    >>> unpack(pack({"epoch": 3}, [np.arange(2.0)]))
    ({'epoch': 3}, [array([0., 1.])])
    >>> unpack(pack({"epoch": 3}, [np.arange(2.0)])[:-1])
    Traceback (most recent call last):
    ValueError: it is damaged: its checksum does not fit its content
    """
    first, _, body = content.partition(b"\n")
    if not first.startswith(MAGIC):
        raise ValueError("it is no backup of this version of policygrad_metrics")
    if hashlib.sha256(body).hexdigest().encode() != first.removeprefix(MAGIC):
        raise ValueError("it is damaged: its checksum does not fit its content")
    head, _, blob = body.partition(b"\n")
    table, arrays, place = json.loads(head), [], 0
    for entry in table["arrays"]:
        count = math.prod(entry["shape"])
        array = np.frombuffer(blob, np.dtype(entry["dtype"]), count, place)
        arrays.append(array.reshape(entry["shape"]))
        place += array.nbytes
    return table["state"], arrays
