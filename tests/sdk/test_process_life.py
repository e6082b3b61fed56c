"""Forks, interpreter exit, workers: no span lost, none doubled, no process held up."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from tests.sdk.collector_double import CollectorDouble, dead_collector, hanging_collector
from tests.sdk.conftest import Start

import gnomon

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def run_child(work: object) -> int:
    """Fork, run ``work`` in the child, end it without atexit; returns its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert callable(work)
            work()
            code = 0
        finally:
            os._exit(code)
    deadline_s = time.monotonic() + 15
    while time.monotonic() < deadline_s:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("the child hung")


def record(name: str) -> None:
    with gnomon.span(name):
        pass


def test_a_fork_with_spans_in_the_queue_doubles_and_loses_nothing(
    collector: CollectorDouble, start: Start
) -> None:
    start(export_interval_s=30.0)
    for number in range(20):
        record(f"parent {number}")

    def child() -> None:
        assert gnomon.stats().queued_spans == 0
        record("child")
        assert gnomon.flush(timeout_s=10.0)
        assert gnomon.stats().exported_spans == 1

    assert run_child(child) == 0
    assert gnomon.flush()
    names = [span.name for span in collector.spans]
    assert sorted(names) == sorted(["child", *(f"parent {number}" for number in range(20))])


def test_a_span_around_a_fork_is_sent_by_the_parent_only(collector: CollectorDouble, start: Start) -> None:
    start()
    with gnomon.span("around") as around:

        def child() -> None:
            with gnomon.span("child"):
                pass
            around.__exit__(None, None, None)
            assert gnomon.flush(timeout_s=10.0)

        assert run_child(child) == 0
    gnomon.flush()
    assert sorted(span.name for span in collector.spans) == ["around", "child"]
    assert collector.span("child").parent_span_id == collector.span("around").span_id


def test_forks_while_other_threads_record_never_hang(collector: CollectorDouble, start: Start) -> None:
    import threading

    start(queue_bytes=10**9)
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            record("load")

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(15):

            def child(number: int = number) -> None:
                record(f"child {number}")
                assert gnomon.flush(timeout_s=10.0)

            assert run_child(child) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    gnomon.flush(timeout_s=20.0)
    spans = collector.spans
    assert len({span.span_id for span in spans}) == len(spans)
    assert sum(span.name.startswith("child") for span in spans) == 15


def _work_in_worker(number: int) -> int:
    record(f"worker {number}")
    return number


def test_multiprocessing_workers_send_what_they_recorded(collector: CollectorDouble, start: Start) -> None:
    start(export_interval_s=30.0)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_work_in_worker, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=20)
        assert worker.exitcode == 0
    assert sorted(span.name for span in collector.spans) == ["worker 0", "worker 1", "worker 2"]


def run_script(code: str, endpoint: str, **environ: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Run a script; returns how long the process lived after it said ``done``, in seconds."""
    script = textwrap.dedent(code) + "\nimport time; print(time.time(), flush=True)"
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "GNOMON_ENDPOINT": endpoint, "GNOMON_INSTRUMENT": "none", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return time.time() - float(run.stdout.split()[-1]), run


RECORD = """
import gnomon
gnomon.init("script")
for number in range(100):
    with gnomon.span(f"s{number}"):
        pass
"""


def test_the_end_of_a_script_sends_what_is_left(collector: CollectorDouble) -> None:
    _, run = run_script(RECORD, collector.url, GNOMON_EXPORT_INTERVAL_S="30")
    assert (run.returncode, run.stderr) == (0, "")
    assert len(collector.spans) == 100


def test_a_script_that_fails_still_sends(collector: CollectorDouble) -> None:
    code = RECORD + "import time; print(time.time(), flush=True)\nraise SystemExit(3)"
    _, run = run_script(code, collector.url, GNOMON_EXPORT_INTERVAL_S="30")
    assert run.returncode == 3
    assert len(collector.spans) == 100


def test_a_dead_collector_delays_the_end_by_less_than_a_second() -> None:
    with dead_collector() as url:
        delay_s, run = run_script(RECORD, url)
    assert run.returncode == 0
    assert delay_s < 1.5


def test_a_hanging_collector_delays_the_end_by_two_seconds_at_most() -> None:
    with hanging_collector() as url:
        delay_s, run = run_script(RECORD, url)
    assert run.returncode == 0
    assert delay_s < 3.0


def test_the_exit_delay_is_a_setting() -> None:
    with hanging_collector() as url:
        delay_s, _ = run_script(RECORD, url, GNOMON_EXIT_TIMEOUT_S="0.1")
    assert delay_s < 1.6


def test_a_span_ended_by_a_destructor_at_exit_harms_nothing(collector: CollectorDouble) -> None:
    code = """
    import gnomon
    gnomon.init("script")
    span = gnomon.span("never left").__enter__()
    generator = gnomon.observe(lambda: 1)
    """
    _, run = run_script(code, collector.url)
    assert (run.returncode, run.stderr) == (0, "")
