"""The HTTP connection: reuse, proxies, aborting."""

import http.client
import threading
import time

import pytest
from tests.sdk.collector_double import Answer, CollectorDouble, hanging_collector

from gnomon._proxy import find_proxy
from gnomon._transport import HttpTransport


def test_a_request_and_its_answer(collector: CollectorDouble) -> None:
    collector.script.append(Answer(503, {"Retry-After": "3"}, b"busy"))
    transport = HttpTransport(f"{collector.url}/base")
    response = transport.post("/v1/traces", b"body", {"X-A": "1"}, 5.0)
    assert (response.status, response.retry_after, response.body) == (503, "3", b"busy")
    request = collector.requests[0]
    assert (request.path, request.headers["X-A"], request.body) == ("/base/v1/traces", "1", b"body")


def test_a_read_that_takes_too_long_fails(collector: CollectorDouble) -> None:
    collector.script.append(Answer(delay_s=1.0))
    with pytest.raises(TimeoutError):
        HttpTransport(collector.url).post("/", b"", {}, 0.1)


def test_abort_ends_a_request_under_way() -> None:
    with hanging_collector() as url:
        transport = HttpTransport(url)
        threading.Timer(0.2, transport.abort).start()
        begin = time.perf_counter()
        with pytest.raises((OSError, http.client.HTTPException)):
            transport.post("/", b"", {}, 30.0)
        assert time.perf_counter() - begin < 5.0


def test_a_plain_proxy_gets_the_whole_url(
    collector: CollectorDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", collector.url.replace("http://", "http://user:p%40ss@"))
    response = HttpTransport("http://gnomon.invalid:4318").post("/v1/traces", b"x", {}, 5.0)
    assert response.status == 200
    request = collector.requests[0]
    assert request.path == "http://gnomon.invalid:4318/v1/traces"
    assert request.headers["Host"] == "gnomon.invalid:4318"
    assert request.headers["Proxy-Authorization"] == "Basic dXNlcjpwQHNz"


@pytest.mark.parametrize(
    ("scheme", "host", "environ", "expected"),
    [
        ("http", "c.example", {}, None),
        ("http", "c.example", {"HTTP_PROXY": "http://p:8080"}, ("p", 8080)),
        ("https", "c.example", {"HTTP_PROXY": "http://p:8080"}, None),
        ("https", "c.example", {"all_proxy": "p:8080"}, ("p", 8080)),
        ("http", "127.0.0.1", {"http_proxy": "http://p:8080"}, None),
        ("http", "c.example", {"http_proxy": "http://p:8080", "no_proxy": "other, .example"}, None),
        ("http", "c.example", {"http_proxy": "http://p:8080", "NO_PROXY": "*"}, None),
        ("http", "c.example", {"http_proxy": "socks5://p:1080"}, None),
        ("http", "c.example", {"http_proxy": "http://p"}, ("p", 3128)),
    ],
)
def test_which_proxy(
    scheme: str, host: str, environ: dict[str, str], expected: tuple[str, int] | None
) -> None:
    proxy = find_proxy(scheme, host, environ)
    assert ((proxy.host, proxy.port) if proxy else None) == expected
