"""The layout is kept: who may import whom, and how large a thing may grow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "krosai_calls"

# A module imports only modules of the rows above its own.
LAYERS = (
    ("_version", "_text", "_mp3_tags", "_names", "_callbacks", "_json", "_hosts", "_threads"),
    ("_mp3", "_hashing", "errors", "observing"),
    ("transcripts", "_wire", "_files", "_loop_thread", "_scopes", "_ration", "_values", "_schema"),
    ("models", "_retry", "_portal"),
    ("_seams", "_rows", "_prospects", "_arguments", "_resume", "_watch", "_links", "_increments"),
    ("_habits", "_hangup", "_following", "settings", "_parts", "_holdings", "_report", "_findings", "_parquet"),
    ("_paging", "_scope", "_commits"),
    ("_codec",),
    ("_pace", "_attempts", "_workers", "_listing", "_faults", "_bypass"),
    ("_sessions", "_bodies"),
    ("_transport",),
    ("_transfers", "_repairing"),
    ("catalog",),
    ("_streams", "_catalog_reading"),
    ("_incoming",),
    ("_download", "_tally", "_archive_lock", "_checksums", "_searching", "_exporting"),
    ("_verifying",),
    ("archive", "library"),
    ("_service",),
    ("_lifetime",),
    ("client", "_blocking"),
    ("sync",),
)
HEIGHT = {name: height for height, row in enumerate(LAYERS) for name in row}
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = [path for path in SOURCES if path.parent == PACKAGE and path.stem not in ("__init__", "__main__")]


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it, but for type checkers alone."""
    found: set[str] = set()

    class Reader(ast.NodeVisitor):
        def visit_If(self, node: ast.If) -> None:
            if ast.unparse(node.test) != "TYPE_CHECKING":
                self.generic_visit(node)

        def visit_Import(self, node: ast.Import) -> None:
            found.update(alias.name for alias in node.names)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            assert node.level == 0, f"{path.name} imports relatively"
            module = node.module or ""
            found.add(module)
            if module == "krosai_calls":
                found.update(f"krosai_calls.{alias.name}" for alias in node.names)

    Reader().visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def ours(path: Path) -> set[str]:
    """The modules of this package that a file imports, by their names below it."""
    return {name.removeprefix("krosai_calls.") for name in imports_of(path) if name.startswith("krosai_calls.")}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_has_its_place_in_the_layers() -> None:
    assert {path.stem for path in MODULES} == set(HEIGHT)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_imports_only_from_the_layers_above_it(path: Path) -> None:
    wrong = {name for name in ours(path) if HEIGHT.get(name, 99) >= HEIGHT[path.stem]}
    assert not wrong


@pytest.mark.parametrize("path", sorted((PACKAGE / "sandbox").glob("*.py")), ids=relative)
def test_the_sandbox_shares_neither_models_nor_codec_with_the_client(path: Path) -> None:
    shared = {name for name in ours(path) if not name.startswith("sandbox")}
    assert shared <= {"_portal", "errors", "_version"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_the_core_knows_neither_the_command_line_nor_the_sandbox(path: Path) -> None:
    assert not {name for name in ours(path) if name.split(".")[0] in ("cli", "sandbox")}


@pytest.mark.parametrize(
    ("library", "users"),
    [
        ("aiohttp", {"_transport.py", "_sessions.py", "_faults.py"}),
        ("cattrs", {"_codec.py"}),
        ("orjson", {"_json.py"}),
        (
            "sqlite3",
            {
                "_schema.py",
                "catalog.py",
                "_holdings.py",
                "_scope.py",
                "_catalog_reading.py",
                "_searching.py",
                "_verifying.py",
                "_repairing.py",
            },
        ),
        ("pyarrow", {"_parquet.py"}),
    ],
)
def test_a_library_has_one_user_in_the_core(library: str, users: set[str]) -> None:
    found = {path.name for path in MODULES if library in {name.split(".")[0] for name in imports_of(path)}}
    assert found == users


def writes_to_a_terminal(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return "print" in names or bool({"sys.stdout", "sys.stderr"} & attributes)


def test_only_the_command_line_writes_to_a_terminal() -> None:
    assert {path.parent.name for path in SOURCES if writes_to_a_terminal(path)} == {"cli"}


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_file_and_no_function_outgrows_its_reader(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 350
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, functions) and (node.end_lineno or 0) - node.lineno + 1 > 45
    }
    assert not long


def test_the_readme_names_every_module() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = {path.name for path in MODULES if path.name not in readme} - {"_version.py"}
    assert not missing
