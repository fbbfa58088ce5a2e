"""L3: the blocking client in a real Jupyter kernel, whose loop is running while a cell is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_process import environment
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from krosai_calls.sandbox import Sandbox

SECONDS = 20  # in which every cell here has ended many times over


class Notebook:
    """Cells, one after another, in one kernel."""

    def __init__(self, manager: KernelManager, kernel: BlockingKernelClient) -> None:
        self._manager = manager
        self._kernel = kernel

    def run(self, cell: str) -> str:
        """What a cell prints; an error of it is an error here."""
        printed: list[str] = []

        def note(message: dict[str, object]) -> None:
            content = message["content"]
            assert isinstance(content, dict)
            if message["msg_type"] == "stream":
                printed.append(content["text"])

        reply = self._kernel.execute_interactive(cell, timeout=SECONDS, output_hook=note, allow_stdin=False)
        assert reply["content"]["status"] == "ok", "\n".join(reply["content"].get("traceback", []))
        return "".join(printed)

    def end(self) -> int:
        """Ask the kernel to end, and give its process's exit code."""
        self._kernel.shutdown()
        kernel = self._manager.provisioner
        assert isinstance(kernel, LocalProvisioner)
        assert kernel.process is not None
        return int(kernel.process.wait(SECONDS))


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    (tmp_path / "jupyter_runtime_dir").mkdir()
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    manager = KernelManager()  # the interpreter that runs the tests, on loopback
    variables = environment(others={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    variables |= {name: value for name, value in os.environ.items() if name.startswith(("JUPYTER", "IPYTHON"))}
    manager.start_kernel(env=variables, cwd=str(tmp_path))
    kernel = manager.blocking_client()
    try:
        kernel.start_channels()
        kernel.wait_for_ready(timeout=SECONDS)
        yield Notebook(manager, kernel)
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def test_l03_the_verbs_work_in_a_notebook_whose_own_loop_goes_on(notebook: Notebook) -> None:
    with Sandbox(calls=30) as sandbox:
        notebook.run(
            "import asyncio, threading\n"
            "from krosai_calls import CallsClient\n"
            f"client = CallsClient({sandbox.api_key!r}, base_url={sandbox.base_url!r})\n"
            "beats = []\n"
            "async def beat():\n"
            "    while True:\n"
            "        beats.append(threading.current_thread().name)\n"
            "        await asyncio.sleep(0)\n"
            "heart = asyncio.get_running_loop().create_task(beat())"
        )
        # No loop of one's own can be started here, which is what it is about.
        assert "running event loop" in notebook.run(
            "try:\n    asyncio.run(asyncio.sleep(0))\nexcept RuntimeError as error:\n    print(error)"
        )
        assert notebook.run("print(client.get_stats().total_calls)") == "30\n"
        assert notebook.run("print(len(list(client.iter_calls(page_size=7))))") == "30\n"
        assert notebook.run("for call in client.iter_calls():\n    print(call.id)\n    break") == (
            f"{sandbox.calls[0]['id']}\n"
        )
        assert (
            notebook.run(
                "call = next(call for call in client.iter_calls() if call.has_recording)\n"
                "with client.stream_recording(call) as stream:\n"
                "    size = sum(map(len, stream))\n"
                "print(size == stream.size_bytes, client.download_recording(call, 'r.mp3').size_bytes == size)"
            )
            == "True True\n"
        )
        # In an asynchronous cell, too.
        assert notebook.run("await asyncio.sleep(0)\nprint(client.list_calls(limit=1).total)") == "30\n"
        assert (
            notebook.run("print(len(beats) > 3, set(beats) == {'MainThread'}, heart.done())")
            == "True True False\n"
        )
        assert "max_items" in notebook.run("help(client.iter_calls)")
        assert notebook.run("client.close(); client.close(); print(threading.active_count() > 0)") == "True\n"
        assert "krosai-calls" not in notebook.run("print([thread.name for thread in threading.enumerate()])")


def test_l03_l05_a_kernel_with_a_client_left_open_ends_by_itself(notebook: Notebook) -> None:
    with Sandbox(calls=30) as sandbox:
        notebook.run(
            "from krosai_calls import CallsClient\n"
            f"client = CallsClient({sandbox.api_key!r}, base_url={sandbox.base_url!r})\n"
            "calls = client.iter_calls(page_size=7)\n"
            "next(calls)"
        )
        assert notebook.end() == 0
