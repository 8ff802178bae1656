"""Run every stage alone, in a process of its own, on parameters of which only those it declares are the project's.

`python tests/alone.py PROJECT OUT STAGE...`: OUT/STAGE holds what each stage wrote, OUT/STAGE-as-given the same with nothing
changed, OUT/STAGE.json the modules it loaded, the keys that were changed for it and the keys that it read. PROJECT is changed:
it must be a copy."""

import importlib
import json
import os
import sys
import traceback
from pathlib import Path

WHOLE = {"promote", "report"}  # these read params.yaml as a file: all of it is declared
REVEALING = {
    "compose": {"outliers": "ask"}
}  # settings under which a stage uses most of what it may


def candidates(value, field) -> list:
    "Other values that a key may take; whether they are allowed is tried."
    from typing import get_args

    words = [word for word in get_args(field) if isinstance(word, (str, bool))]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, value * 2]
    if isinstance(value, float):
        return [value * 0.9, value * 1.1, value / 2, value + 1]
    if isinstance(value, str):
        return [*(word for word in words if word != value), f"{value}_other", "7d", "x"]
    if isinstance(value, (tuple, list)):
        return [value[1:], (*value, "other")] if value else [("other",), ("other.Type",)]
    if isinstance(value, dict):
        return [dict(list(value.items())[:-1])] if len(value) > 1 else []
    return [1, 0.5, "other"]


def leaves(block, place: str = ""):
    "Each key that holds a value, as (dotted key, value, its type)."
    from pydantic import BaseModel

    for field_name, field in type(block).model_fields.items():
        name = field.alias or field_name
        value = getattr(block, field_name)
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value, field.annotation


def changed(params, declared: tuple[str, ...]):
    "Parameters that differ from these wherever nothing is declared: (parameters, keys that differ)."
    content, moved = params.model_dump(), []
    for key, value, field in leaves(params):
        if any(key == one or key.startswith(f"{one}.") for one in declared):
            continue
        *above, last = key.split(".")
        block = content
        for name in above:
            block = block[name]
        for other in candidates(value, field):
            block[last] = other
            try:
                type(params).model_validate(content)
                moved.append(key)
                break
            except Exception:
                block[last] = value
    return type(params).model_validate(content), moved


def traced(params, read: set[str]) -> None:
    "From now on, note every key that is read from these parameters."
    from pydantic import BaseModel

    places, plain = {id(params): ""}, BaseModel.__getattribute__

    def noting(self, name):
        value, place = plain(self, name), places.get(id(self))
        if place is not None and name in type(self).model_fields:
            if isinstance(value, BaseModel):
                places[id(value)] = f"{place}{name}."
            else:
                read.add(f"{place}{name}")
        return value

    BaseModel.__getattribute__ = noting


def alone(project: Path, stage: str, out: Path, change: bool = True) -> dict:
    "Run one stage in this process."
    from continual_nb.core.params import Params
    from continual_nb.core.table import TABLE
    from continual_nb.loop import stages
    from continual_nb.loop.project import Project

    params, moved, read = Params.load(project / "params.yaml"), [], set()
    for block, settings in REVEALING.items():
        params = params.model_copy(
            update={block: getattr(params, block).model_copy(update=settings)}
        )
    if change and stage not in WHOLE:
        params, moved = changed(params, TABLE[stage].params)
    Project.params = lambda self: params
    taken, hidden = project / "data/arrival/arrival.json", project / "data/arrival.json"
    if stage == "snapshot":
        taken.rename(hidden)  # it is taken again
    traced(params, read)
    try:
        out.mkdir(parents=True)
        getattr(stages, stage)(Project(project), out)
    finally:
        if hidden.exists():
            hidden.rename(taken)
    loaded = [name for name in sys.modules if name.startswith("continual_nb.")]
    return {"loaded": sorted(loaded), "moved": moved, "read": sorted(read)}


def main(project: Path, out: Path, names: list[str]) -> None:
    for name in (
        "psutil",
        "pydantic",
        "pandas",
        "pyarrow.parquet",
        "scipy.special",
        "sklearn.ensemble",
    ):
        importlib.import_module(name)
    runs = [(stage, change) for stage in names for change in (True, False)]
    for stage, change in runs:
        if not change and stage not in REVEALING:
            continue
        if not os.fork():
            name = stage if change else f"{stage}-as-given"
            try:
                found = alone(project, stage, out / name, change)
            except BaseException:
                found = {"error": traceback.format_exc()}
            (out / f"{name}.json").write_text(json.dumps(found))
            sys.stdout.flush()
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
