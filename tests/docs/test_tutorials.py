"""The notebooks in tutorials/: stored executed, whole, and their code runs on every backend.

By day on one backend each.
"""

import ast
import base64
import itertools
import json
import re
import sys

import pytest

from tests.support import ROOT
from tests.support import main_module
from tests.support import run_python

FOLDER = ROOT / "tutorials"
# Which backend runs a notebook by day.
RUN_ON = {
    "1_amplitudes.ipynb": "tensorflow",
    "2_dial_a_rate.ipynb": "jax",
    "3_no_collapse.ipynb": "jax",
    "4_priors.ipynb": "torch",
    "5_what_it_looked_at.ipynb": "jax",
    "6_fourteen_bytes.ipynb": "jax",
    "7_one_nat_after_another.ipynb": "torch",
}
NOTEBOOKS = list(RUN_ON)
LAST_SECTION = "Next steps"
ALLOWED_IMPORTS = {"keras", "keras_slashed", "matplotlib", "numpy", "sklearn"}
MOST_BYTES = 400_000

every_notebook = pytest.mark.parametrize("name", NOTEBOOKS)


def cells_of(name, kind=None):
    """Return the cells of a notebook, those of one kind if it is given."""
    cells = json.loads((FOLDER / name).read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if kind in (None, cell["cell_type"])]


def source_of(cell):
    return "".join(cell["source"])


def sections_of(name):
    """Return the headings of a notebook's sections, each with the pictures printed in it."""
    sections = {}
    for cell in cells_of(name):
        if cell["cell_type"] == "markdown":
            for heading in re.findall(r"^## (.+)$", source_of(cell), flags=re.MULTILINE):
                assert heading not in sections, f"two sections are called {heading!r}"
                sections[heading] = []
        elif sections:
            data = [output.get("data", {}) for output in cell["outputs"]]
            pictures = [entry["image/png"] for entry in data if "image/png" in entry]
            next(reversed(sections.values())).extend(pictures)
    return sections


def imports_of(code):
    """Return the names of the packages that code imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def test_all_are_there():
    assert NOTEBOOKS == sorted(path.name for path in FOLDER.glob("*.ipynb"))
    assert [name[:2] for name in NOTEBOOKS] == ["1_", "2_", "3_", "4_", "5_", "6_", "7_"]


# Its cells one after the other in one namespace, and what they warned of: warnings that
# point at the library or the notebook. Those in Keras' and matplotlib's code are theirs.
RUN_CELLS = """
import json
import pathlib
import warnings

import keras_slashed

package = str(pathlib.Path(keras_slashed.__file__).parent)
names = {{"__name__": "__main__"}}
ours = []
for number, source in enumerate(json.loads({sources!r})):
    code = compile(source, f"<code cell {{number}}>", "exec")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(code, names)
    for warning in caught:
        if warning.filename.startswith((package, "<code cell")):
            ours.append(f"code cell {{number}}, {{warning.filename}}: {{warning.message}}")
print()
print(json.dumps(ours))
"""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.experiment(on)) for name, on in RUN_ON.items()]
)
def test_runs_as_plain_python(name):
    sources = json.dumps([source_of(cell) for cell in cells_of(name, "code")])
    output, _ = run_python(RUN_CELLS.format(sources=sources), MPLBACKEND="Agg")
    assert json.loads(output.splitlines()[-1]) == []


@every_notebook
def test_is_executed(name):
    cells = cells_of(name, "code")
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = list(itertools.chain(*(cell["outputs"] for cell in cells)))
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data"}
    streams = {output["name"] for output in outputs if output["output_type"] == "stream"}
    assert streams == {"stdout"}, "warnings and progress go to stderr"


@every_notebook
def test_opens_with_what_the_reader_will_learn_and_how_long_it_takes(name):
    first = cells_of(name)[0]
    assert first["cell_type"] == "markdown"
    assert re.match(r"# \S", source_of(first))
    assert len(re.findall(r"^- ", source_of(first), flags=re.MULTILINE)) == 3
    assert re.search(r"minutes to read and .* to run", source_of(first))


@every_notebook
def test_every_section_has_a_picture(name):
    sections = sections_of(name)
    assert 6 <= len(sections) <= 10
    assert list(sections)[-1] == LAST_SECTION
    for heading, pictures in sections.items():
        assert pictures or heading == LAST_SECTION, f"no picture in section {heading!r}"
        for picture in pictures:
            assert base64.b64decode(picture)[:4] == b"\x89PNG"


@every_notebook
def test_ends_with_links_that_lead_somewhere(name):
    last = cells_of(name)[-1]
    assert last["cell_type"] == "markdown"
    end = source_of(last).split(f"## {LAST_SECTION}")[-1]
    links = set(re.findall(r"\]\(([^)#]+)", end))
    assert links >= {"../README.md", *NOTEBOOKS} - {name}
    for link in links:
        assert (FOLDER / link).is_file(), link


@every_notebook
def test_commands_in_the_text_are_there(name):
    text = "".join(source_of(cell) for cell in cells_of(name, "markdown"))
    for module in re.findall(r"python -m ([\w.]+)", text):
        assert callable(main_module(module).main), module


@every_notebook
def test_code_needs_no_more_than_the_readme_says(name):
    """Plain Python of a few packages, whatever the backend; no file, and no magic."""
    code = [source_of(cell) for cell in cells_of(name, "code")]
    imported = set().union(*map(imports_of, code))
    assert imported <= ALLOWED_IMPORTS | sys.stdlib_module_names
    for cell in code:
        assert not re.search(r"^\s*[%!]|\bopen\(|read_csv|get_file|fetch_", cell, re.MULTILINE)
        assert "plt." not in cell or "plt.show()" in cell or "rcParams" in cell
    assert "set_random_seed(" in code[0]


@every_notebook
def test_stored_file_is_small_and_anonymous(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert len(text.encode()) < MOST_BYTES
    # Base64 holds any word: pictures aside.
    text = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.search(r"/(tmp|home|root|work|Users|usr)/|iopub|site-packages", text)
    notebook = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert not any(cell["metadata"] for cell in notebook["cells"])
