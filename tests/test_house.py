"""The house: imports go downwards only, modules stay small, public names resolve."""

import ast
import functools
import graphlib
import importlib
import inspect
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import policygrad_metrics as pgm

PACKAGE = Path(pgm.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: The rooms from the lowest to the highest; a module imports from its own room and from lower ones.
ROOMS = {
    "core": "the batch, sums over sites, replicas, draws, checks and durable files",
    "aqi": "air-quality scales: concentrations, index values and levels",
    "data": "data sets, files, splits and preparation",
    "rewards": "what labels are worth against the truth",
    "policies": "from a network's outputs to a distribution over labels",
    "surrogates": "differentiable rivals of the expected reward",
    "estimators": "the expected reward and its gradient",
    "decision": "from probabilities to labels",
    "losses": "Keras losses and the reward as a Keras metric",
    "training": "the trainer, fine-tuning and batches",
    "callbacks": "Keras callbacks",
    "saving": "loading, serving and exporting models",
    "tabular": "scikit-learn estimators",
    "study": "the comparison of methods: runs, statistics and reports",
    "air": "station files and forecasts of air-quality levels",
    "cli": "the commands",
}
#: Rooms that can be used without TensorFlow.
LIGHT = ("aqi", "data")


def part(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name_of(path):
    *folders, file = path.relative_to(PACKAGE.parent).parts
    return ".".join([*folders, file.removesuffix(".py")])


@functools.cache
def imports(path):
    return tuple(find_imports(path))


def find_imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            # Stubs of packages import from their own folder.
            here = name_of(path.parent) if node.level else ""
            module = ".".join(filter(None, (here, node.module)))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_imports_go_downwards():
    order = list(ROOMS)
    for path in MODULES:
        here = part(path)
        if here.startswith("__"):
            continue
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "policygrad_metrics" and len(parts) > 1 and parts[1] in ROOMS:
                assert order.index(parts[1]) <= order.index(here), f"{path} imports {name}"
            if here in LIGHT:
                heavy = parts[0] in ("tensorflow", "keras", "tensorflow_probability")
                assert not heavy, f"{path} imports {name}"


def test_no_module_imports_itself_by_way_of_others():
    names = {name_of(path): path for path in MODULES if path.name != "__init__.py"}
    graph = {name: names.keys() & set(imports(path)) for name, path in names.items()}
    assert sum(map(len, graph.values())) > 300  # imports are seen at all
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names them


def test_no_module_is_private_to_a_higher_room():
    """What only a higher room uses belongs there, unless its own room offers it to all."""
    users = {name_of(path): set() for path in MODULES if path.name != "__init__.py"}
    for path in [*MODULES, *PACKAGE.rglob("*.pyi")]:
        for name in imports(path):
            if name in users and name != name_of(path):
                users[name].add(part(path).replace("__main__", "cli"))
    lonely = {
        name: rooms
        for name, rooms in users.items()
        if name.count(".") > 1 and len(rooms) <= 1 and name.split(".")[1] not in rooms
    }
    assert not lonely


def test_every_room_is_in_the_order():
    entries = {path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert entries - {"__init__.py", "__init__.pyi", "__main__.py", "py.typed"} == set(ROOMS)
    assert len(ROOMS) <= 16


def test_one_idea_per_file():
    assert [path for path in MODULES if path.read_text().count("\n") > 400] == []


def functions():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{path.relative_to(PACKAGE)}: {node.name}", node


def lines_without_docstring(node):
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        lines -= node.body[0].end_lineno - node.body[0].lineno + 1
    return lines


def parameters(node):
    """How many there are; those of a constructor do not count, and neither does self or cls."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    named = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
    return 0 if node.name == "__init__" else len(named)


def test_functions_are_short_and_take_few_parameters():
    assert {
        name: n for name, node in functions() if (n := lines_without_docstring(node)) > 60
    } == {}
    assert {name: n for name, node in functions() if (n := parameters(node)) > 8} == {}


def test_public_names_resolve_and_are_documented():
    rooms = {name for name in pgm.__all__ if name in ROOMS}
    assert len(pgm.__all__) - len(rooms) <= 25
    for name in pgm.__all__:
        assert (getattr(pgm, name).__doc__ or "").strip(), name
    with pytest.raises(AttributeError, match="attribute nothing"):
        _ = pgm.nothing


def test_public_functions_are_annotated():
    """A member that overrides one of this package has the annotations of that one."""
    open_ones = set()
    for room in ROOMS.keys() - {"cli"}:
        module = importlib.import_module(f"policygrad_metrics.{room}")
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            members = vars(thing).items() if isinstance(thing, type) else [(name, thing)]
            bases = thing.__mro__[1:] if isinstance(thing, type) else ()
            own = [base for base in bases if base.__module__.startswith("policygrad_metrics")]
            for member, function in members:
                plain = getattr(function, "fget", getattr(function, "__func__", function))
                inherited = any(member in vars(base) for base in own)
                if isinstance(plain, types.FunctionType) and member[0] != "_" and not inherited:
                    asked = set(inspect.signature(plain).parameters) - {"self", "cls"} | {"return"}
                    if asked - plain.__annotations__.keys():
                        open_ones.add(f"{name}.{member}")
    assert not open_ones


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, policygrad_metrics; "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_eager_call_of_the_loss_enters_few_functions():
    loss = pgm.PolicyGradientLoss("f1_macro")
    y, outputs = (
        np.arange(64) % 5,
        tf.constant(np.linspace(-1.0, 1.0, 320).reshape(64, 5), "float32"),
    )

    def step():
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            value = loss(y, outputs)
        return tape.gradient(value, outputs)

    entered = set()

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)):
            entered.add((code.co_filename, code.co_firstlineno, code.co_name))

    step()
    sys.setprofile(note)
    try:
        step()
    finally:
        sys.setprofile(None)
    assert len({file for file, _, _ in entered}) <= 18
    assert len({name for name in entered if not name[2].startswith("<")}) <= 94


def test_no_module_asks_for_the_kind_of_a_bound_reward():
    """What depends on the kind is a method of it, or registered for it (`functools`)."""
    kinds = set()
    for path in PACKAGE.rglob("rewards/*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                if bases & {"BoundReward", "BoundConfusion"} or node.name == "BoundReward":
                    kinds.add(node.name)
    assert len(kinds) > 10
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
                names = {x.id for x in ast.walk(node.args[1]) if isinstance(x, ast.Name)}
                assert not names & kinds, f"{path}:{node.lineno}"
