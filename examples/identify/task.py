"""The work of one task: say what one file is. Runs in a worker process, which loads the model once and keeps it."""

from __future__ import annotations

import functools
import hashlib
import io
import stat
from pathlib import Path
from typing import Any

import onnxruntime
from magika import Magika

from parking_lot_drivers.ports import PermanentFailure

_GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


class _OneThreadMagika(Magika):
    """Magika whose model runs on one thread: a worker is one core's work, so that units can bound the cores.

    By default, onnxruntime starts a thread for every core in every process.
    """

    def _init_onnx_session(self) -> onnxruntime.InferenceSession:
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(self._model_path, options, providers=["CPUExecutionProvider"])


@functools.cache
def model() -> Magika:
    """The model of this process, loaded at the first call."""
    return _OneThreadMagika()


def identify(payload: dict[str, Any]) -> dict[str, Any]:
    """What the file at ``payload["path"]`` is.

    Returns ``path``, ``label`` (such as ``"python"``), ``mime_type``, ``group``, ``score`` (how sure the model is, 0
    to 1), ``size`` in bytes, and ``sha256`` of the content, by which copies of a file can be found.

    Raises ``PermanentFailure`` for a payload without a path, and for what is no longer there, may not be read or is
    not a regular file: another attempt would find the same.
    """
    path = payload.get("path") if isinstance(payload, dict) else None
    if not isinstance(path, str) or not path:
        raise PermanentFailure(f'expected a payload such as {{"path": "/some/file"}}, got {payload!r}')
    try:
        # Opening a named pipe would wait for its writer, so look before opening.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise PermanentFailure(f"{path}: not a regular file")
        with Path(path).open("rb") as file:
            return {"path": path, **_contents(file)}
    except _GONE as error:
        raise PermanentFailure(f"{path}: {error.strerror}") from error


def _contents(file: io.BufferedReader) -> dict[str, Any]:
    result = model().identify_stream(file)
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "label": str(result.output.label),
        "mime_type": result.output.mime_type,
        "group": result.output.group,
        "score": result.score,
        "size": file.tell(),
        "sha256": digest,
    }
