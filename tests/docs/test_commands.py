"""Every command that the documents name is there, and takes the options that they give it."""

import re
import shlex

import pytest

from tests.docs.pages import PAGES
from tests.support import ROOT
from tests.support import main_module

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "results/README.md", *PAGES)
# Up to the next command of a block, the end of the block, or the backtick behind it.
COMMAND = re.compile(
    r"python\s+-m\s+((?:applications|benchmarks|tests)\.[\w.]+)([^`]*?)"
    r"(?=`|\n```|\nKERAS_BACKEND|\npython)"
)


def commands():
    """Return pairs of a module and its options, as the documents have them."""
    found = {
        (module, " ".join(options.split()))
        for document in DOCUMENTS
        for module, options in COMMAND.findall((ROOT / document).read_text())
    }
    assert len(found) > 25
    return sorted(found)


@pytest.mark.parametrize(("module", "options"), commands())
def test_a_command_takes_its_options(module, options):
    main = main_module(module)
    assert callable(main.main)
    if hasattr(main, "parse_arguments"):
        main.parse_arguments(shlex.split(options))
        with pytest.raises(SystemExit) as ended:
            main.parse_arguments(["--help"])
        assert ended.value.code == 0
    else:
        assert not options
