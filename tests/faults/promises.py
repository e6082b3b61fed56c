"""What Gnomon promises about faults and security, and which tests hold it to that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """One line of a report.

    Attributes:
        number: in the fault matrix or the security checklist
        text: what must hold
        tests: arguments for pytest
    """

    number: int
    text: str
    tests: tuple[str, ...]


FAULTS = (
    Promise(1, "kill -9 at a random moment after an ack", ("tests/faults/test_kill.py",)),
    Promise(
        2,
        "cut off at any step of a flush and started again",
        ("tests/ingest/test_flusher.py::test_cut_off_at_any_step_and_started_again",),
    ),
    Promise(
        2, "the power is cut: an ext4 shut down without its journal", ("tests/faults/test_power_cut.py",)
    ),
    Promise(
        3,
        "fsync or write fails (EIO, ENOSPC by strace): no ack, recovers, nothing lost",
        ("tests/faults/test_io_errors.py",),
    ),
    Promise(4, "disk full: 503, reading goes on, recovers", ("tests/faults/test_disk.py",)),
    Promise(5, "SIGTERM under load ends within 10 s", ("tests/faults/test_stop.py", "-k", "sig")),
    Promise(
        6,
        "a second process is refused, with the holder named",
        ("tests/faults/test_stop.py", "tests/cli/test_running.py", "-k", "second or holds"),
    ),
    Promise(
        7, "ClickHouse away, hung, failing, broken off after a commit", ("tests/faults/test_server_store.py",)
    ),
    Promise(
        8,
        "a poisonous request is set aside alone, and comes back",
        (
            "tests/ingest/test_flusher.py::test_a_poisonous_request_is_set_aside_and_nothing_else",
            "tests/operations/test_quarantine.py",
        ),
    ),
    Promise(
        9,
        "hundreds of days in one request",
        ("tests/ingest/test_times.py::test_hundreds_of_days_in_one_request",),
    ),
    Promise(10, "500 clients that send a byte a second are cut", ("tests/faults/test_slow_clients.py",)),
    Promise(
        11,
        "gzip bombs and megabytes of empty spans",
        ("tests/ingest/test_http_traces.py", "-k", "bomb or empty_spans"),
    ),
    Promise(
        12,
        "seeded mutations are accepted or refused, never a 5xx",
        (
            "tests/ingest/test_requests.py",
            "tests/ingest/test_flusher.py",
            "-k",
            "mutat or any_bytes or poison",
        ),
    ),
    Promise(
        13, "deep, large and many values", ("tests/ingest/test_flatten.py", "tests/ingest/test_attributes.py")
    ),
    Promise(13, "bodies of 16 MiB that are dear to take in", ("tests/faults/test_hostile_bodies.py",)),
    Promise(15, "senseless times are clamped and flagged, and stored once", ("tests/ingest/test_times.py",)),
    Promise(
        16,
        "the same span again counts once",
        ("tests/ingest/test_permutations.py", "tests/ingest/test_duplicates.py"),
    ),
    Promise(18, "the noisy project alone gets 429", ("tests/ingest/test_quotas.py",)),
    Promise(17, "unknown and revoked keys", ("tests/ingest/test_http_traces.py", "-k", "key or revoked")),
    Promise(
        19,
        "SDK: a collector that is away, hangs or resets",
        ("tests/sdk/test_exporter.py", "tests/sdk/test_process_life.py"),
    ),
)

SECURITY = (
    Promise(
        1, "keys: random, hashed, scoped, expiring, revoked within seconds", ("tests/store/test_access.py",)
    ),
    Promise(
        2,
        "sessions end everywhere within 5 s: logout, password, role, removal",
        ("tests/security/test_sessions.py",),
    ),
    Promise(
        3,
        "every route, gRPC method, page and callback asks for the right scope or role",
        ("tests/security/test_routes.py", "tests/security/test_roles.py", "tests/cli/test_admin_api.py"),
    ),
    Promise(
        5,
        "the project comes from the key alone",
        ("tests/ingest/test_http_traces.py::test_the_project_comes_from_the_key_alone",),
    ),
    Promise(
        6,
        "two-project canary over pages, callbacks, panels, exports, search and API",
        ("tests/security/test_canary.py",),
    ),
    Promise(7, "values are bound, never formatted into SQL", ("tests/store/test_battery.py",)),
    Promise(8, "attribute keys stay data", ("tests/ingest/test_attributes.py",)),
    Promise(9, "CSP, and no other host", ("tests/dashboard/test_auth.py", "-k", "headers")),
    Promise(10, "webhooks reach no private address", ("tests/alerts", "-k", "private or guard or ssrf")),
    Promise(
        12,
        "CSV cells that would be formulas are neutralised",
        (
            "tests/dashboard/test_pages.py::test_csv_of_a_panel_runs_no_formula",
            "tests/dashboard/test_query_cases.py::test_cells_that_a_spreadsheet_would_run_are_neutralised",
            "tests/api/test_reading.py::test_exports_are_whole_and_csv_runs_no_formula",
        ),
    ),
    Promise(
        13,
        "size limits hold after decompression",
        ("tests/ingest/test_http_traces.py", "-k", "large or bomb or empty"),
    ),
    Promise(
        13,
        "broken OTLP and whatever the API's schema allows: never a 5xx",
        ("tests/security/test_fuzz.py",),
    ),
    Promise(14, "no content and no key in metrics and log", ("tests/ingest/test_http_health.py",)),
    Promise(
        15, "erasure reaches everything, replays bring nothing back", ("tests/operations/test_erasure.py",)
    ),
    Promise(16, "retention, and refusal of what is older", ("tests/operations/test_projects.py",)),
    Promise(
        13,
        "NaN, half characters, endless bodies: refused before they are read whole, never a 5xx",
        ("tests/security/test_hostile_json.py",),
    ),
    Promise(
        17,
        "guessing of passwords gets slower, in all processes together",
        ("tests/security/test_login_throttle.py",),
    ),
    Promise(17, "forged requests and headers", ("tests/dashboard/test_auth.py",)),
    Promise(
        17,
        "single sign-on: wrong signature, nonce, audience, issuer, state or time is refused",
        ("tests/security/test_oidc.py",),
    ),
    Promise(18, "changes of access are audited with who did them", ("tests/security/test_settings_page.py",)),
    Promise(18, "masking before anything is written", ("tests/ingest/test_masking.py",)),
)
