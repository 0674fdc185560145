"""Imports go one way only, and every module belongs to a layer."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "core",
        "doctor engine protocol",
        "page stores weights",
        "audio",
        "video models sequence",
        "importing check_data data",
        "extractors",
        "inference",
        "evaluation live",
        "learning",
        "semisup detector",
        "training",
        "submission viewer",
        "pretrain",
        "demo",
    )
)
"""From left to right: a package may import from those left of it; names on one line do not import each other."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

ENTRY = "abaw.__main__"
"""The program's entry, which starts the application."""

VIDEO_LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in ("sound", "reading align encode options", "detecting", "people", "extract playable")
)
"""The parts of abaw.video, in the same way."""


def modules(package: str) -> dict[str, Path]:
    """Dotted name -> file, of all modules of a package."""
    found = {}
    for file in sorted((ROOT / package).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def everywhere(tree: ast.AST) -> Iterator[ast.AST]:
    return ast.walk(tree)


def on_loading(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that are carried out when the module is loaded: no function bodies, nothing for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from on_loading(node)


def imported(nodes: Iterable[ast.AST], module: str, known: set[str]) -> Iterator[str]:
    """Names of the project's modules that the nodes of a module import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*module.split(".")[: -node.level], *filter(None, [base])])
            names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ("abaw", "pipelines"))


def breaches(graph: dict[str, set[str]]) -> list[str]:
    """Imports against the direction, between packages of one layer, or of the application by the library."""
    found = []
    for module, targets in graph.items():
        for target in targets:
            if module.split(".")[0] != "abaw" or module == ENTRY:
                continue
            if target.split(".")[0] == "pipelines":
                found.append(f"{module} imports {target}: the library does not import the application")
                continue
            source_parts, target_parts = module.split("."), target.split(".")
            if len(source_parts) < 2 or len(target_parts) < 2 or source_parts[1] == target_parts[1]:
                continue
            if LEVEL[target_parts[1]] >= LEVEL[source_parts[1]]:
                found.append(f"{module} imports {target}: {target_parts[1]} is not left of {source_parts[1]}")
    return found


def find_cycle(graph: dict[str, set[str]]) -> list[str] | None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def read_graph(nodes: Callable[[ast.AST], Iterator[ast.AST]]) -> dict[str, set[str]]:
    """Module -> the modules that it imports, for all modules of the project."""
    found = {**modules("abaw"), **modules("pipelines")}
    known = set(found)
    graph = {}
    for name, file in found.items():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        graph[name] = {target for target in imported(nodes(tree), name, known) if target != name}
    return graph


def test_every_module_belongs_to_a_layer() -> None:
    packages = {name.split(".")[1] for name in modules("abaw") if "." in name and name != ENTRY}
    assert packages <= LEVEL.keys(), f"no layer for {packages - LEVEL.keys()}"


def test_imports_go_one_way() -> None:
    assert breaches(read_graph(everywhere)) == []


def test_every_part_of_video_has_a_place() -> None:
    parts = {name.split(".")[2] for name in modules("abaw") if name.startswith("abaw.video.")}
    assert parts == frozenset().union(*VIDEO_LAYERS)


def test_imports_within_video_go_one_way_without_a_cycle() -> None:
    """Imports in functions included: registries load readers and detectors by name, which have no import back."""
    graph = {
        name: {target for target in targets if target.startswith("abaw.video.")}
        for name, targets in read_graph(everywhere).items()
        if name.startswith("abaw.video.")
    }
    level = {part: level for level, parts in enumerate(VIDEO_LAYERS) for part in parts}
    parts = [(name.split(".")[2], target.split(".")[2]) for name, targets in graph.items() for target in targets]
    assert [(part, other) for part, other in parts if part != other and level[other] >= level[part]] == []
    assert find_cycle(graph) is None


@pytest.mark.parametrize("package", ["reading", "detecting"])
def test_what_a_registry_loads_by_name_does_not_import_it(package: str) -> None:
    graph = read_graph(everywhere)
    registry = f"abaw.video.{package}.registry"
    loaded = [name for name in graph if name.startswith(f"abaw.video.{package}.") and name != registry]
    assert [name for name in loaded if registry in graph[name]] == []


def test_no_modules_wait_for_each_other_on_loading() -> None:
    """A factory that loads its parts when it is called is no cycle; two modules that need each other to load are."""
    assert find_cycle(read_graph(on_loading)) is None


@pytest.mark.parametrize(
    ("module", "text", "expected"),
    [
        ("abaw.core.a", "from abaw.stores import arrow", "stores is not left of core"),
        ("abaw.sequence.a", "import abaw.evaluation.metrics", "evaluation is not left of sequence"),
        ("abaw.models.a", "def f():\n    from abaw.data.images import x", "data is not left of models"),
        ("abaw.models.a", "from ..training import loop", "training is not left of models"),
        ("abaw.demo.a", "from pipelines.console import say", "does not import the application"),
        ("abaw.data.a", "from abaw.video.align import align", None),
    ],
)
def test_a_breach_is_seen(module: str, text: str, expected: str | None) -> None:
    known = set(modules("abaw"))
    found = breaches({module: set(imported(everywhere(ast.parse(text)), module, known))})
    assert (len(found) == 1 and expected in found[0]) if expected else not found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import abaw.core", {"abaw.core"}),
        ("try:\n    import abaw.core\nfinally:\n    pass", {"abaw.core"}),
        ("class A:\n    import abaw.core", {"abaw.core"}),
        ("def f():\n    import abaw.core", set()),
        ("if TYPE_CHECKING:\n    import abaw.core", set()),
    ],
)
def test_what_is_imported_on_loading(text: str, expected: set[str]) -> None:
    assert set(imported(on_loading(ast.parse(text)), "abaw.a", {"abaw.core"})) == expected


def late_imports(text: str) -> Iterator[int]:
    """Lines where imports inside a function begin that have no comment above or at their end to say why."""
    lines = text.splitlines()
    found = set()
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            found |= {node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)}
    explained = -1
    for node in sorted(found, key=lambda node: node.lineno):
        # The imports that follow belong to the same block, across blank lines too.
        above = next((line for line in reversed(lines[: node.lineno - 1]) if line.strip()), "").strip()
        said = above.startswith("#") or "  # " in lines[node.end_lineno - 1]
        follows = explained >= 0 and not any(line.strip() for line in lines[explained : node.lineno - 1])
        if said or follows:
            explained = node.end_lineno or node.lineno
        else:
            yield node.lineno


def test_an_import_inside_a_function_says_why() -> None:
    files = [*modules("abaw").values(), *modules("pipelines").values()]
    bare = {str(file.relative_to(ROOT)): list(late_imports(file.read_text(encoding="utf-8"))) for file in files}
    assert {name: lines for name, lines in bare.items() if lines} == {}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("import a\n", []),
        ("def f():\n    import a\n", [2]),
        ("def f():\n    # why\n    import a\n\n    import b\n", []),
        ("def f():\n    import a  # why\n", []),
        ("def f():\n    # why\n    import a\n    a()\n    import b\n", [5]),
    ],
)
def test_an_import_without_a_reason_is_seen(text: str, lines: list[int]) -> None:
    assert list(late_imports(text)) == lines


def test_a_cycle_is_seen() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
