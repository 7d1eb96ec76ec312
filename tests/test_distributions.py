"""What is released is whole: the wheel has the package and no more, the source distribution is the repository."""

import importlib.metadata
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import flora_provider

ROOT = Path(__file__).parent.parent
NAME = f"airflow_provider_flora-{flora_provider.__version__}"
MAX_WHEEL_BYTES = 700_000


def run(*command, cwd=ROOT):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tracked():
    return set(run("git", "ls-files").splitlines())


@pytest.fixture(scope="module")
def built(tracked, tmp_path_factory):
    """The folder of both; the wheel is built from the source distribution, as an installer without a wheel would."""
    checkout, folder = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    for name in tracked:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes((ROOT / name).read_bytes())
    cache = checkout / "flora_provider" / "__pycache__"  # as a checkout in use has it
    cache.mkdir()
    (cache / "gone.cpython-311.pyc").write_bytes(b"")
    run(sys.executable, "-m", "build", "--no-isolation", "--skip-dependency-check", "--outdir", folder, cwd=checkout)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as file:
        yield file


def test_index_would_take_both(built):
    assert sorted(file.name for file in built.iterdir()) == [f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"]
    run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir())


def test_source_distribution_is_the_repository(built, tracked):
    with tarfile.open(built / f"{NAME}.tar.gz") as file:
        files = {member.name.removeprefix(f"{NAME}/") for member in file.getmembers() if member.isfile()}
    made = {name for name in files if name in {"PKG-INFO", "setup.cfg"} or ".egg-info/" in name}
    assert files - made == tracked


def test_wheel_has_the_package_and_no_more(wheel, tracked):
    files = {name for name in wheel.namelist() if not name.startswith(f"{NAME}.dist-info/")}
    expected = {name for name in tracked if name.startswith("flora_provider/")} | {"airflow_provider_flora.py"}
    assert files == expected


def test_wheel_is_small(built):
    assert (built / f"{NAME}-py3-none-any.whl").stat().st_size < MAX_WHEEL_BYTES


def test_wheel_asks_for_nothing_that_only_developers_need(wheel):
    lines = wheel.read(f"{NAME}.dist-info/METADATA").decode().partition("\n\n")[0].splitlines()
    assert {line.partition(": ")[2] for line in lines if line.startswith("Provides-Extra")} == {"sandbox", "parquet"}
    required = {line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist")}
    always = {line.split(">=")[0].strip() for line in required if "extra ==" not in line}
    assert "apache-airflow" in always
    assert not always & {"pytest", "uvicorn", "pillow", "pyarrow", "build", "twine"}


def test_wheel_announces_itself_to_airflow_and_to_pytest(wheel):
    text = wheel.read(f"{NAME}.dist-info/entry_points.txt").decode()
    points = importlib.metadata.EntryPoints._from_text(text)  # noqa: SLF001 - the only reader of such a text
    assert {(point.group, point.value) for point in points} == {
        ("apache_airflow_provider", "flora_provider:get_provider_info"),
        ("pytest11", "flora_provider.sandbox.pytest_entry_point"),
    }


def test_source_distribution_can_be_installed(built, tmp_path):
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", tmp_path / "installed"]
    run(sys.executable, "-m", "pip", "install", *options, built / f"{NAME}.tar.gz")
    code = "import flora_provider, sys; print(flora_provider.__file__)"
    out = run(sys.executable, "-c", f"import sys; sys.path.insert(0, 'installed'); {code}", cwd=tmp_path)
    assert Path(out.strip()).is_relative_to(tmp_path / "installed")
