"Sphinx: the site is made of the notebooks as they stand, and of the docstrings; `make docs`."

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
from continual_nb import __version__  # noqa: E402

project = "continual_nb"
author = "The continual_nb authors"
version = release = __version__
extensions = ["myst_nb", "book"]
root_doc = "nbs/index"
include_patterns = ["nbs/**", "CONTRIBUTING.md", "CHANGELOG.md"]
exclude_patterns = ["**/.ipynb_checkpoints", "nbs/reports"]

# outputs are those that are stored; the tests run the notebooks
nb_execution_mode = "off"
nb_custom_formats = {".ipynb": ["book.read", {}, False]}
nb_code_prompt_show = "Source"
nb_code_prompt_hide = "Hide the source"
nb_ipywidgets_js = {}  # nothing is loaded from elsewhere: a reader may be off the network
myst_enable_extensions = ["dollarmath", "fieldlist"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries = False
suppress_warnings = ["ref.python", "myst-nb.lexer"]

html_theme = "furo"
html_title = f"continual_nb {__version__}"
html_extra_path = ["front"]
html_static_path = ["static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sphinx = False
templates_path = []
