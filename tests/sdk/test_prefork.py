"""Real servers: gunicorn with and without preloading, uvicorn, a celery worker. None loses spans at its end."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tests.sdk.collector_double import CollectorDouble

WEB = """
import os
import gnomon
gnomon.init("web", endpoint=os.environ["COLLECTOR"], instrument="none", export_interval_s=60)
def app(environ, start_response):
    with gnomon.span("request"):
        start_response("200 OK", [])
        return [str(os.getpid()).encode()]
"""
TASKS = """
import os
import gnomon
from celery import Celery
gnomon.init("tasks", endpoint=os.environ["COLLECTOR"], instrument="none", export_interval_s=60)
box = os.environ["BOX"]
folders = {"data_folder_in": box, "data_folder_out": box, "control_folder": box}
app = Celery("tasks", broker="filesystem://", broker_transport_options=folders)
@app.task
def work(number):
    with gnomon.span("task"):
        open(os.path.join(os.environ["DONE"], str(number)), "w").close()
"""
TASK_COUNT = 6
PATIENCE_S = 60.0


def start(folder: Path, collector: CollectorDouble, *command: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, **environment(folder, collector)}
    return subprocess.Popen([sys.executable, "-m", *command], cwd=folder, env=env, stderr=subprocess.DEVNULL)


def environment(folder: Path, collector: CollectorDouble) -> dict[str, str]:
    for name in ("box", "done"):
        (folder / name).mkdir(exist_ok=True)
    return {
        "PYTHONPATH": str(folder),
        "COLLECTOR": collector.url,
        "BOX": str(folder / "box"),
        "DONE": str(folder / "done"),
    }


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE_S)
    finally:
        process.kill()


def get(url: str) -> bytes:
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                body: bytes = answer.read()
                return body
        except OSError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_gunicorn(preload: list[str], collector: CollectorDouble, tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text(WEB)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    server = start(tmp_path, collector, "gunicorn", "-w", "2", "-b", address, *preload, "web:app")
    try:
        answers = [get(f"http://{address}/") for _ in range(20)]
    finally:
        stop(server)
    spans = collector.wait_for_spans(len(answers))
    assert len(spans) == len(answers)
    assert len({span.span_id for span in spans}) == len(answers)


ASGI = """
import os
import gnomon
gnomon.init("asgi", endpoint=os.environ["COLLECTOR"], instrument="none", export_interval_s=60)
async def app(scope, receive, send):
    if scope["type"] == "http":
        with gnomon.span("request"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_uvicorn(workers: str, collector: CollectorDouble, tmp_path: Path) -> None:
    """Uvicorn kills itself with the SIGTERM it got: no exit handler of Python ever runs."""
    (tmp_path / "web.py").write_text(ASGI)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    server = start(tmp_path, collector, "uvicorn", "--port", port, "--workers", workers, "web:app")
    try:
        answers = [get(f"http://127.0.0.1:{port}/") for _ in range(10)]
    finally:
        stop(server)
    assert len(collector.wait_for_spans(len(answers))) == len(answers)


@pytest.mark.slow
def test_celery(collector: CollectorDouble, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    worker = start(tmp_path, collector, "celery", "-A", "tasks", "worker", "-c", "2", "-l", "ERROR")
    try:
        send = f"import tasks\nfor number in range({TASK_COUNT}): tasks.work.delay(number)"
        env = {**os.environ, **environment(tmp_path, collector)}
        subprocess.run([sys.executable, "-c", send], check=True, cwd=tmp_path, env=env, timeout=PATIENCE_S)
        give_up_at = time.monotonic() + PATIENCE_S
        while len(list((tmp_path / "done").iterdir())) < TASK_COUNT and time.monotonic() < give_up_at:
            time.sleep(0.2)
    finally:
        stop(worker)
    assert len(collector.wait_for_spans(TASK_COUNT)) == TASK_COUNT
