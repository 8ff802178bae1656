"""Notebook-first, reproducible continual learning; names are imported when they are first used."""

__version__ = "0.1.0"

_HOMES = {  # public name -> module, or module:name where it has another one there
    "Monitor": "monitoring.compare",
    "Params": "core.params",
    "bench": "interfaces.bench",
    "compare": "monitoring.compare:compare_files",
    "curating": "interfaces.curating",
    "desk": "interfaces.signing",
    "fold": "backtest.exact",
    "labelling": "interfaces.labelling",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    "Import a public name from its module."
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home, _, other = _HOMES[name].partition(":")
    return getattr(import_module(f"{__name__}.{home}"), other or name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]


def load_ipython_extension(shell):
    "Bring `%continual` to a notebook: `%load_ext continual_nb`."
    from continual_nb.cli.main import cli
    from continual_nb.interfaces.magic import load_ipython_extension

    opened = lambda name: lambda *words: __getattr__(name)(*words)
    load_ipython_extension(shell, cli, {name: opened(name) for name in ("bench", "desk")})
