"""``gnomon alerts`` beside a server: rules by project, in words that can be read."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import run_here

from gnomon_collector.runfile import ServerFile

RULE = (
    '[[rule]]\nname = "Slow"\nmetric = "latency_p95_ms"\ncondition = { kind = "threshold", above = 4000 }\n'
)


def test_the_rules_of_a_project_are_those_that_look_at_it(server: ServerFile, server_dir: Path) -> None:
    data = ("--data", str(server_dir))
    added = run_here(
        "alerts", "add", "-", "--project", "slow-shop", *data, stdin=RULE.replace("[[rule]]\n", "")
    )
    assert added.returncode == 0, added.stderr
    mine, others = (_names(server_dir, project) for project in ("slow-shop", "other-shop"))
    assert mine - others == {"Slow"} and "Latency spike" in others
    assert _names(server_dir, "*") == mine
    table = run_here("alerts", "rules", "--project", "slow-shop", *data, env={"COLUMNS": "160"}).stdout
    assert "threshold (above 4000)" in table
    assert "absence" in table and "()" not in table


def test_check_counts_what_it_read(tmp_path: Path) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text(RULE)
    done = run_here("alerts", "check", str(file))
    assert done.stdout == f"{file}: 1 rule, 0 channels, 0 mute times, 0 budgets, 0 objectives.\n"


def _names(server_dir: Path, project: str) -> set[str]:
    done = run_here("alerts", "rules", "--project", project, "--json", "--data", str(server_dir))
    return {rule["name"] for rule in json.loads(done.stdout)["rules"]}
