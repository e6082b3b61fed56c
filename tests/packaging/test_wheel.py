"""What a service gets when it installs the SDK alone: thin, with a command that says what is missing."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER_ONLY = ("chdb", "dash", "fastapi", "uvicorn", "clickhouse_connect", "click", "openai", "grpc")
ROOTS = {
    "gnomon": ROOT / "sdk",
    "gnomon_schemas": ROOT / "schemas",
    "gnomon_collector": ROOT / "collector",
    "gnomon_dashboard": ROOT / "dashboard",
}


def run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GNOMON_", "OTEL_", "PYTHON"))
    }
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=600, check=False, env=environ
    )
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def constraint_arguments() -> Sequence[str | Path]:
    constraints = ROOT / "constraints.txt"
    return ("--constraint", constraints) if constraints.exists() else ()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
    (built,) = folder.glob("gnomon-*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of an empty virtualenv into which only the wheel's base was installed."""
    folder = tmp_path_factory.mktemp("base")
    # not the venv module: Debian ships it without pip unless python3-venv is there
    run(sys.executable, "-m", "virtualenv", "--quiet", folder)
    bin_folder = folder / ("Scripts" if os.name == "nt" else "bin")
    run(bin_folder / "python", "-m", "pip", "install", "--quiet", *constraint_arguments(), wheel)
    return bin_folder


def test_the_wheel_holds_the_four_packages_with_everything_that_is_in_the_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    for package, root in ROOTS.items():
        assert f"{package}/py.typed" in packed
        kept = [path for path in (root / package).rglob("*") if path.suffix in (".py", ".sql", ".proto")]
        assert {path.relative_to(root).as_posix() for path in kept} <= packed


def test_the_base_imports_and_works_without_any_server_part(environment: Path, wheel: Path) -> None:
    code = f"""
import importlib.util, gnomon
present = [name for name in {SERVER_ONLY!r} if importlib.util.find_spec(name)]
assert present == [], present
gnomon.init("thin", endpoint="http://127.0.0.1:9", exit_timeout_s=0.1)
with gnomon.session(user="u"), gnomon.span("step") as span:
    assert span.trace_id
assert gnomon.stats().enabled
print(gnomon.__version__)
"""
    done = run(environment / "python", "-c", code)
    assert done.stdout.strip() in wheel.name


def test_the_command_says_what_to_install(environment: Path) -> None:
    done = run(environment / "gnomon", "serve", check=False)
    assert done.returncode == 2
    assert "pip install 'gnomon[server]'" in done.stderr
    assert "Traceback" not in done.stderr
