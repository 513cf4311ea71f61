"""The identify example's task: real inference on real files, here and in a worker process."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import magika
import matplotlib
import pytest

from examples.identify.task import identify, model
from parking_lot_drivers.build import build_executor
from parking_lot_drivers.config import load_settings
from parking_lot_drivers.ports import PermanentFailure, TaskContext

REPOSITORY = Path(__file__).parents[2]
LOT = REPOSITORY / "examples" / "identify" / "lot.json"
MAGIKA = Path(magika.__file__).parent
MATPLOTLIB = Path(matplotlib.get_data_path())

KNOWN = {
    REPOSITORY / "parking_lot_drivers" / "replay" / "engine.py": "python",
    REPOSITORY / "pyproject.toml": "toml",
    REPOSITORY / "examples" / "replay" / "azure_llm_conversations_2023.csv": "csv",
    MAGIKA / "models" / "standard_v3_3" / "model.onnx": "onnx",
    MAGIKA / "config" / "content_types_kb.min.json": "json",
    MATPLOTLIB / "fonts" / "ttf" / "DejaVuSans.ttf": "ttf",
    MATPLOTLIB / "images" / "matplotlib.png": "png",
    MATPLOTLIB / "images" / "matplotlib.pdf": "pdf",
    MATPLOTLIB / "images" / "matplotlib.svg": "svg",
}


@pytest.mark.parametrize("path", KNOWN, ids=lambda path: path.name)
def test_real_files_are_what_they_are(path: Path) -> None:
    found = identify({"path": str(path)})
    content = path.read_bytes()
    assert found["label"] == KNOWN[path]
    assert found["path"] == str(path)
    assert found["size"] == len(content)
    assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert 0.5 < found["score"] <= 1


def test_one_thread_answers_as_the_model_does_by_default() -> None:
    default = magika.Magika()
    for path in KNOWN:
        result = default.identify_path(path)
        found = identify({"path": str(path)})
        assert (found["label"], found["mime_type"]) == (str(result.output.label), result.output.mime_type)
        assert found["score"] == pytest.approx(result.score, abs=1e-4)
    options = model()._onnx_session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_the_model_is_loaded_once() -> None:
    assert model() is model()
    identify({"path": str(REPOSITORY / "pyproject.toml")})
    assert model.cache_info().misses == 1


def test_an_empty_file_is_empty(tmp_path: Path) -> None:
    (tmp_path / "nothing").touch()
    found = identify({"path": str(tmp_path / "nothing")})
    assert (found["label"], found["size"], found["score"]) == ("empty", 0, 1.0)


def test_what_cannot_be_read_fails_for_good(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    for path, reason in [
        (tmp_path / "gone", "No such file or directory"),
        (tmp_path / "file" / "below", "Not a directory"),
        (tmp_path, "not a regular file"),
        (tmp_path / "pipe", "not a regular file"),
    ]:
        with pytest.raises(PermanentFailure) as raised:
            identify({"path": str(path)})
        assert str(raised.value) == f"{path}: {reason}"


def test_a_file_that_may_not_be_opened_fails_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "secret").write_text("x")
    monkeypatch.setattr(Path, "open", refuse)  # permissions do not stop a superuser, and tests may run as one
    with pytest.raises(PermanentFailure, match="secret: Permission denied"):
        identify({"path": str(tmp_path / "secret")})


@pytest.mark.parametrize("payload", [{}, {"path": ""}, {"path": 3}, {"file": "x"}, "x", None])
def test_a_payload_without_a_path_fails_for_good(payload: object) -> None:
    with pytest.raises(PermanentFailure, match="expected a payload such as"):
        identify(payload)  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_a_worker_process_identifies_real_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    executor = build_executor(load_settings(LOT), "identify")
    async with executor:
        for number, path in enumerate(KNOWN):
            context = TaskContext(task_id=f"task-{number}", epoch=1, attempt=1, device="0", units=1)
            found = await executor.execute({"path": str(path)}, context)
            assert found == identify({"path": str(path)})
        context = TaskContext(task_id="gone", epoch=1, attempt=1, device="0", units=1)
        with pytest.raises(PermanentFailure, match="gone: No such file or directory"):
            await executor.execute({"path": str(tmp_path / "gone")}, context)
