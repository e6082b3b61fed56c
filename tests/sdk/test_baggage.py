"""A session crosses processes as baggage where that is switched on, and nowhere else."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import Request, urlopen

import gnomon
from gnomon import testing

WHO = {"user": "u-1; Ünïcode, =", "company": "acme", "session": "s-1", "tags": ["a,b", "c"]}


def test_a_session_goes_along_over_http() -> None:
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            with gnomon.continued(self.headers), gnomon.span("served"):
                pass
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    with testing.capture(baggage=True) as captured:
        with gnomon.session(**WHO, metadata={"shop": "shoes"}), gnomon.span("called") as span:
            request = Request(f"http://127.0.0.1:{server.server_port}/", headers=gnomon.headers())
            urlopen(request, timeout=10).close()
            trace_id = span.trace_id
        thread.join(10)
    server.server_close()
    served = captured.span("served")
    attributes = dict(served.attributes or {})
    assert served.context and format(served.context.trace_id, "032x") == trace_id
    assert attributes["user.id"] == WHO["user"]
    assert attributes["gnomon.company.id"] == "acme"
    assert attributes["gen_ai.conversation.id"] == "s-1"
    assert attributes["gnomon.tags"] == ("a,b", "c")
    assert attributes["gnomon.metadata.shop"] == "shoes"
    assert {"traceparent", "baggage"} <= {name.lower() for name in seen[0]}


def test_it_stays_at_home_unless_asked_for() -> None:
    with testing.capture() as captured:
        with gnomon.session(**WHO), gnomon.span("called"):
            carried = gnomon.headers()
        with gnomon.continued({"Baggage": "user.id=mallory"}), gnomon.span("served"):
            pass
    assert "baggage" not in carried
    assert "traceparent" in carried
    assert "user.id" not in (captured.span("served").attributes or {})


def test_a_session_of_ones_own_wins_over_the_callers() -> None:
    theirs = gnomon.continued({"baggage": "user.id=theirs"})
    with testing.capture(baggage=True) as captured, theirs, gnomon.session(user="ours"), gnomon.span("s"):
        pass
    assert (captured.span("s").attributes or {})["user.id"] == "ours"


def test_baggage_is_bounded() -> None:
    with testing.capture(baggage=True), gnomon.session(metadata={f"k{n}": "x" * 900 for n in range(50)}):
        assert len(gnomon.headers()["baggage"]) < 8_192


def test_strangers_baggage_harms_nothing() -> None:
    odd = gnomon.continued({"baggage": "gnomon.tags=%5Bnot json,other=1,user.id=" + "x" * 9_000})
    with testing.capture(baggage=True) as captured, odd, gnomon.span("s"):
        pass
    assert "other" not in (captured.span("s").attributes or {})
