"""The site: `nox -s docs`. It needs no network, and does not execute the notebooks."""

import importlib
import inspect
import os
import pathlib
import re
import textwrap

os.environ.setdefault("KERAS_BACKEND", "jax")

import latex2mathml.converter
from docutils import nodes
from sphinx.addnodes import download_reference
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform

import keras_slashed

DOCS = pathlib.Path(__file__).resolve().parent
ROOT = DOCS.parent

project = "keras_slashed"
author = "the keras_slashed authors"
project_copyright = author
version = release = keras_slashed.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "myst_nb"]
templates_path = ["_templates"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "keras_slashed"
html_static_path = ["_static"]
html_css_files = ["phone.css"]
html_copy_source = False
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"

# The sections of Keras' own docstrings.
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    *("Input shape", "Output shape", "Reference"),
]
napoleon_use_ivar = True
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
# `metrics.rate` and `metrics.Rate` are one file where a file system ignores case.
autosummary_filename_map = {"keras_slashed.metrics.Rate": "keras_slashed.metrics.Rate_class"}
autodoc_inherit_docstrings = False
autodoc_typehints = "none"


def offered_by(module):
    """Return the public names of a module: what it lists, or else what it defines."""
    defined = (name for name, value in vars(module).items() if inspect.isfunction(value))
    return getattr(module, "__all__", [name for name in defined if not name.startswith("_")])


def public_names():
    """Return the full name of everything public, by each name that means it alone."""
    names = {}
    for module in keras_slashed.__all__:
        for name in offered_by(importlib.import_module(f"keras_slashed.{module}")):
            full = f"keras_slashed.{module}.{name}"
            for alias in (name, f"{module}.{name}", full):
                names.setdefault(alias, set()).add(full)
    return {alias: full.pop() for alias, full in names.items() if len(full) == 1}


class LinkPublicNames(SphinxTransform):
    """Turn `FixedRateVIB` or `FixedRateVIB(2.3)`, wherever it is code in prose, into a link."""

    default_priority = 9  # before references are resolved

    def apply(self):
        names = public_names()
        for literal in list(self.document.findall(nodes.literal)):
            full = names.get(literal.astext().split("(")[0])
            title_or_link = (nodes.title, nodes.reference, pending_xref)
            if full is None or isinstance(literal.parent, title_or_link):
                continue
            link = pending_xref("", refdomain="py", reftype="obj", reftarget=full)
            link["refdoc"] = self.env.docname
            literal.replace_self(link)
            link.append(literal)


class LinkTables(SphinxTransform):
    """Turn links to Markdown files that are no pages, as those in results/, into downloads."""

    default_priority = 9

    def apply(self):
        here = pathlib.Path(self.env.doc2path(self.env.docname)).parent
        for link in list(self.document.findall(pending_xref)):
            file = pathlib.Path(f"{link['reftarget']}.md")
            if link.get("refdomain") == "doc" and file.is_file() and DOCS not in file.parents:
                download = download_reference("", refdoc=self.env.docname)
                download["reftarget"] = os.path.relpath(file, here)
                download += link.children
                link.replace_self(download)


def markdown_code(app, kind, name, thing, options, lines):
    """Read a docstring's code as Markdown does, which Keras' docstrings follow."""
    blocks = re.split(r"^( *)```python\n(.*?)```", "\n".join(lines), flags=re.MULTILINE | re.DOTALL)
    for index in range(0, len(blocks), 3):
        prose = re.split(r"(?<!`)`([^`]+)`(?!`)", blocks[index])
        prose[::2] = [part.replace("|", r"\|") for part in prose[::2]]
        prose[1::2] = [f"``{' '.join(code.split())}``" for code in prose[1::2]]
        blocks[index] = "".join(prose)
    for index in range(1, len(blocks), 3):
        indent, code = blocks[index : index + 2]
        blocks[index] = f"{indent}.. code-block:: python\n\n"
        blocks[index + 1] = textwrap.indent(code, "    ")
    lines[:] = "".join(blocks).split("\n")


def own_signature(app, kind, name, thing, options, signature, returns):
    """Show the arguments of a class's own `__init__`: Keras' `__new__` takes any."""
    if kind != "class" or thing.__init__ is object.__init__:
        return signature, returns
    parameters = list(inspect.signature(thing.__init__).parameters.values())
    return str(inspect.Signature(parameters[1:])), returns


def mathml(display):
    """Return the visitor that writes a formula as MathML, which needs no script."""

    def visit(translator, node):
        formula = latex2mathml.converter.convert(node.astext(), display=display)
        # What is wider than a phone scrolls by itself.
        tag = "div" if display == "block" else "span"
        translator.body.append(f'<{tag} class="formula">{formula}</{tag}>')
        raise nodes.SkipNode

    return visit


def copy_tutorials(app, config):
    """Copy the notebooks to where Sphinx reads, each with its links to the README on the site."""
    folder = DOCS / "tutorials"
    folder.mkdir(exist_ok=True)
    for notebook in sorted((ROOT / "tutorials").glob("*.ipynb")):
        text = notebook.read_text(encoding="utf-8").replace("(../README.md", "(../index.md")
        (folder / notebook.name).write_text(text, encoding="utf-8")


def setup(app):
    app.add_html_math_renderer("mathml", (mathml("inline"), None), (mathml("block"), None))
    app.connect("config-inited", copy_tutorials)
    app.connect("autodoc-process-signature", own_signature)
    app.connect("autodoc-process-docstring", markdown_code, priority=1)
    app.add_transform(LinkPublicNames)
    app.add_transform(LinkTables)
