"""The package as users get it: built, installed into an empty environment, and its README run as it is printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Iterator, List

import pytest

from octopoid_sdk import OctopoidSDK

from .support.node import Node

ROOT = Path(__file__).resolve().parent.parent


class User:
    """An environment that holds the built package, and a folder of programs that use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "venv/bin/python"

    def run(self, *arguments: str, cwd: Path, **environment: str) -> str:
        base = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("PIP_")}
        command = [str(self.python), *arguments]
        done = subprocess.run(command, cwd=cwd, env={**base, "HOME": str(self.folder), **environment}, capture_output=True, text=True)
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    folder = tmp_path_factory.mktemp("user")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns("dist", ".*", "__pycache__"))
    # The tools that build stand pinned in requirements-dev.txt; the wheel is made from what the source distribution holds.
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    venv.create(folder / "venv", with_pip=True)
    user = User(folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    assert len(list((folder / "dist").glob("*.tar.gz"))) == 1
    user.run("-m", "pip", "install", "--quiet", str(wheel), cwd=folder)
    return user


@pytest.fixture(scope="module")
def own(user: User) -> Iterator[Node]:
    node = Node()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def blocks(user: User) -> List[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)


def test_the_wheel_holds_the_package_and_its_types_and_nothing_else(user: User) -> None:
    (wheel,) = (user.folder / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "octopoid_sdk/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"octopoid_sdk"}


def test_the_readme_does_what_it_says_as_it_is_printed(user: User, own: Node, blocks: List[str]) -> None:
    assert len(blocks) == 6
    said = [_run_block(user, own, number, block) for number, block in enumerate(blocks)]
    with OctopoidSDK(own.url, own.api_key) as sdk:
        first, last = sdk.tasks.get("my-task-123"), sdk.tasks.get("issue-17")
    assert first is not None and (first["queue"], first["priority"], first["role"]) == ("incoming", "P1", "implement")
    assert last is not None and last["queue"] == "done"
    assert re.search(r"is healthy.*task\.created issue-17 incoming", said[3], re.S)
    assert said[4] == "", "nothing was done before the report"
    assert "- The link to the guide is broken (docs)\n" in _run_block(user, own, 4, blocks[4])


def test_the_guide_does_what_it_says_as_it_is_printed(user: User, own: Node) -> None:
    guide = (ROOT / "../../docs/sdk.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", guide, re.M | re.S)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        program = user.folder / f"guide_{number}.py"
        program.write_text(block, encoding="utf-8")
        user.run(str(program), cwd=own.folder)
    with OctopoidSDK(own.url, own.api_key) as sdk:
        (task,) = sdk.tasks.list(scope="site")
    assert task["id"] == "first"


def test_the_readme_approves_the_work_of_writers_and_nothing_else(user: User, own: Node, blocks: List[str]) -> None:
    with OctopoidSDK(own.url, own.api_key) as sdk:
        for id, role, commits in (("written", "docs", 1), ("empty", "docs", 0), ("built", "implement", 1)):
            sdk.tasks.create(id=id, file_path=f"{id}.md", role=role, type=id)
            sdk.tasks.claim("home-mac", id, type_filter=id)
            sdk.tasks.submit(id, commits_count=commits, turns_used=1)
        _run_block(user, own, 1, blocks[1])
        tasks = [sdk.tasks.get(id) for id in ("written", "empty", "built")]
    assert [task and task["queue"] for task in tasks] == ["done", "provisional", "provisional"]


def test_the_examples_run_in_a_project_whose_node_runs(user: User, own: Node) -> None:
    def example(name: str, *arguments: str) -> str:
        return user.run(str(ROOT / "examples" / name), *arguments, cwd=own.folder)

    with OctopoidSDK(own.url, own.api_key) as sdk:
        sdk.tasks.delete("issue-17")
        assert re.match(r"created write-it-down-\w+\n.*P1  write-it-down", example("create_and_list.py", "Write it down"), re.S)
        assert example("from_external_source.py") == "created issue-17\ncreated issue-18\n"
        assert example("from_external_source.py") == "kept issue-17\nkept issue-18\n"
        done = example("worker.py", "docs", "cat")
        assert "It should lead to docs/guide.md.\n" in done and "submitted issue-17\n" in done
        assert re.fullmatch(r"gave \S+ back\n", example("worker.py", "implement", "false"))
        assert example("worker.py", "nobody", "cat") == "nothing waits\n"
        sdk.tasks.update("issue-17", commits_count=1)
        assert example("auto_approve_docs.py") == "accepted issue-17\n"
        assert re.search(r"is healthy\n.*\d  incoming\n", example("monitor.py", "--once"), re.S)
        report = example("daily_report.py")
        assert "## Done: docs\n" in report and "- The link to the guide is broken (`issue-17`)\n" in report
        assert re.search(r"^\d+ tasks done in \d+ turns, \d+ stuck\.$", report, re.M)
    assert len(list((ROOT / "examples").glob("*.py"))) == 6


def test_the_programs_of_the_readme_are_what_a_type_checker_accepts(user: User, blocks: List[str]) -> None:
    files = []
    for number, block in enumerate(blocks):
        files.append(user.folder / f"typed_{number}.py")
        files[-1].write_text(block, encoding="utf-8")
    wrong = user.folder / "wrong.py"
    wrong.write_text(
        "from octopoid_sdk import OctopoidSDK\n"
        "sdk = OctopoidSDK()\n"
        "sdk.tasks.create(id='a')  # type: ignore[call-arg]\n"
        "sdk.tasks.update('a', prioritty='P1')  # type: ignore[call-arg]\n"
        "length: str = sdk.tasks.list()[0]['commits_count']  # type: ignore[assignment]\n"
    )
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-executable", str(user.python)]
    done = subprocess.run([*mypy, *map(str, [*files, wrong])], cwd=user.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def _run_block(user: User, node: Node, number: int, block: str) -> str:
    program = user.folder / f"block_{number}.py"
    text = block.replace("https://octopoid-server.username.workers.dev", node.url).replace("your-api-key", node.api_key)
    program.write_text(text, encoding="utf-8")
    return user.run(str(program), cwd=user.folder, OCTOPOID_SERVER_URL=node.url, OCTOPOID_API_KEY=node.api_key)
