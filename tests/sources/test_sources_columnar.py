"""The doors to Parquet and Arrow cost nothing until they are opened, and say what is missing."""

import subprocess
import sys


def ran(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_sources_and_the_client_import_no_pyarrow() -> None:
    imports = "import asyncimport.sources, asyncimport.client, asyncimport.cli.commands, sys"
    assert ran(f"{imports}; print('pyarrow' in sys.modules)") == "False\n"


def test_without_pyarrow_each_door_says_what_to_install() -> None:
    code = """
import sys
sys.modules["pyarrow"] = None
from asyncimport import ConfigError, UserProfile
from asyncimport.sources import from_arrow, open_source, read_arrow, read_parquet
for opened in (read_parquet, read_arrow, from_arrow, lambda path: open_source(path, UserProfile)):
    try:
        opened("people.parquet")
    except ConfigError as error:
        print(error)
"""
    assert ran(code).splitlines() == ['Parquet and Arrow need pyarrow: pip install "asyncimport[arrow]"'] * 4
