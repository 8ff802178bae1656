__version__ = "0.1.0"


def load_ipython_extension(shell):
    "Bring `%continual` to a notebook: `%load_ext continual_nb`."
    from continual_nb.cli.magic import load_ipython_extension

    load_ipython_extension(shell)
