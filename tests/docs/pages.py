"""The Markdown pages that people read: README.md and docs/, their links, and their Python."""

import re

from tests.support import BACKEND
from tests.support import ROOT

DOCS = ROOT / "docs"
GENERATED = {"_build", "api", "tutorials"}
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in DOCS.rglob("*.md")
    if path.relative_to(DOCS).parts[0] not in GENERATED
)
# What the first line of a block says that only one backend runs.
BACKENDS = {"# on TensorFlow": "tensorflow", "# on JAX": "jax", "# on PyTorch": "torch"}


def blocks_of(page):
    """Return the Python blocks of a page that this backend runs."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [block for block in blocks if BACKENDS.get(block.split("\n")[0], BACKEND) == BACKEND]


def links_of(page):
    """Return the relative links of a page, pictures among them, without their anchors."""
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    return [link for link in links if not re.match(r"[a-z]+:", link)]


def run(page):
    """Run the blocks of a page one after the other; return the names after each of them."""
    names, after = {}, []
    for number, block in enumerate(blocks_of(page)):
        exec(compile(block, f"{page}, block {number}", "exec"), names)
        after.append(dict(names))
    return after
