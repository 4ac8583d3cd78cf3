import subprocess
import sys
from pathlib import Path

import pytest

from asyncimport import emulator

PLUGIN = 'pytest_plugins = ["asyncimport.emulator.pytest_plugin"]\n'
JOB = """
import aiohttp
import pytest

@pytest.mark.asyncio
async def test_job(platform):
    body = {"publicParams": {"isMatching": False, "importMode": 2}, "data": [{"thirdId": "1"}]}
    async with aiohttp.ClientSession(headers={"X-Token": platform.token}) as session:
        async with session.post(platform.url + "/audience/info/batchAdd", json=body) as response:
            assert (await response.json())["code"] == "200"
    assert platform.ledger.users.total == 1
    assert not platform.ledger.violations
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a user's folder, outside this project's configuration."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *arguments]
    options = ["-o", "asyncio_default_fixture_loop_scope=function", f"--rootdir={folder}", str(folder)]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_a_users_test_gets_a_platform_in_either_mode(tmp_path: Path, mode: str) -> None:
    (tmp_path / "conftest.py").write_text(PLUGIN)
    (tmp_path / "test_job.py").write_text(JOB)
    result = run(tmp_path, f"--asyncio-mode={mode}")
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout


def test_the_fixture_is_there_only_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "test_job.py").write_text(JOB)
    result = run(tmp_path)
    assert result.returncode == 1
    assert "fixture 'platform' not found" in result.stdout


def test_without_pytest_asyncio_the_plugin_says_what_to_install() -> None:
    code = "import sys; sys.modules['pytest_asyncio'] = None; import asyncimport.emulator.pytest_plugin"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: asyncimport.emulator.pytest_plugin needs pytest-asyncio" in result.stderr


def test_the_emulator_does_without_pytest() -> None:
    code = "import sys, asyncimport.emulator.standalone; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_module_of_the_emulator_imports_the_client() -> None:
    folder = Path(emulator.__file__).parent
    lines = [line for module in folder.glob("*.py") for line in module.read_text().splitlines()]
    imported = [
        line.split()[1] for line in lines if line.lstrip().startswith(("from asyncimport", "import asyncimport"))
    ]
    assert imported
    assert [name for name in imported if not name.startswith(("asyncimport.emulator", "asyncimport.version"))] == []
