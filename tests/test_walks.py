"""The tutorial and the README's walk, run as they are written, on a new data folder with its demo people."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .conftest import need
from .test_up import CHECKOUT, ENVIRONMENT, Up

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("up")]
# What differs from run to run, or was cut by the page.
VARIES = re.compile(r"\.\.\.|[0-9a-f]{8}-[0-9a-f]{4}|GMT|:8000|T\d\d:\d\d:\d\d")


@pytest.fixture(scope="module")
def server():
    data = tempfile.mkdtemp(prefix="fhirserver-walks-")
    up = Up(Path(data))
    try:
        yield up.wait_until_ready(within=180)
    finally:
        up.process.terminate()
        up.process.wait(30)
        shutil.rmtree(data)


def blocks(page):
    """(shell, text up to the next block) in the order of the page."""
    return re.findall(r"^```sh\n(.*?)^```$(.*?)(?=^```|\Z)", (CHECKOUT / page).read_text(), re.M | re.S)


@pytest.mark.parametrize("page", ["docs/tutorial/first-ten-minutes.md", "README.md", "docs/tutorial/who-sees-what.md"])
def test_a_walk_prints_what_its_page_says(page, server):
    need("jq"), need("curl")
    steps = [(shell, said) for shell, said in blocks(page) if not shell.startswith("make ")]
    script = "\n".join(shell for shell, _ in steps)
    script = script.replace(":8000", f":{server.port}").replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["bash", "-eu", "-c", script],
        env=ENVIRONMENT | {"FHIRSERVER_DATA": str(server.data), "PATH": os.environ["PATH"]},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert '"code":"exception"' not in done.stdout
    printed = {line.strip() for line in done.stdout.splitlines()}
    expected = [line.strip() for _, said in steps for line in re.findall(r"^    (.+)$", said, re.M)]
    assert expected
    assert [line for line in expected if not VARIES.search(line) and line not in printed] == []
