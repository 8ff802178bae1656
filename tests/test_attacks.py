"""What somebody who can write to the project's folder may try, each from the real command line."""

import functools
import json
import re
import zipfile

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer

from continual_nb.core.files import ContinualError, sha256
from continual_nb.core.models import dump, load

SPOON = "from pathlib import Path\nPath('{mark}').touch()\nraise SystemExit(7)\n"


# -- code that runs although nobody asked ---------------------------------------------------------------
def test_reading_commands_import_nothing_of_the_folder(twice, copy, tmp_path):
    loop, mark = copy(twice), tmp_path / "ran"
    for name in ("dvc", "psutil", "ipykernel_launcher", "continual_nb", "pandas", "click"):
        loop.path(f"{name}.py").write_text(SPOON.format(mark=mark))
    files = [str(loop.source)] * 2
    sign = ["sign", "approve", "--by", "continual", "--reason", "x"]
    for words in (["status"], ["verify"], ["ledger"], ["compare", *files], sign):
        loop.continual(*words, code=None, CONTINUAL_WARM="")
        assert not mark.exists(), words


def test_the_page_is_made_without_importing_from_the_folder(approved, copy, tmp_path):
    loop, mark = copy(approved), tmp_path / "ran"
    for name in ("ipykernel_launcher", "ipykernel", "IPython", "papermill", "joblib", "psutil"):
        loop.path(f"{name}.py").write_text(SPOON.format(mark=mark))
    loop.dvc("repro", "-f", "-s", "report", CONTINUAL_WARM="")
    assert not mark.exists()


def crafted(function) -> bytes:
    return dump(FunctionTransformer(function))


@pytest.mark.parametrize(
    "function",
    [
        functools.partial(np.apply_along_axis, print, 0),
        functools.partial(np.savetxt, "stolen.txt"),
        functools.partial(np.add, 1),
        np.load,
        np.savetxt,
        FunctionTransformer().fit,
    ],
)
def test_a_crafted_model_is_refused_before_anything_of_it_is_built(function):
    content = crafted(function)
    with pytest.raises(ContinualError, match="not trusted") as refused:
        load(content, sha256(content))
    assert refused.value.code == 5


def test_what_a_user_lists_is_trusted_and_nothing_beside_it():
    content = crafted(np.savetxt)
    (name,) = re.findall(r"trusted: (\S+)", _refusal(content))
    assert load(content, sha256(content), (name,)).pipeline.func is np.savetxt
    assert "functools.partial of" in _refusal(crafted(functools.partial(np.load, "x")), (name,))


def _refusal(content: bytes, trusted=()) -> str:
    with pytest.raises(ContinualError) as refused:
        load(content, sha256(content), trusted)
    return str(refused.value)


def test_a_number_that_stands_for_two_objects_is_refused(tmp_path):
    "skops reads the first object of a number in place of later ones: a checked name could hide another."
    content = dump(FunctionTransformer(np.log1p, inverse_func=np.expm1))
    assert load(content, sha256(content)).pipeline.func is np.log1p
    file = tmp_path / "model.skops"
    file.write_bytes(content)
    with zipfile.ZipFile(file) as archive:
        schema = json.loads(archive.read("schema.json"))
    parts = schema["content"]["content"]
    parts["inverse_func"]["__id__"] = parts["func"]["__id__"]
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    assert "under the number of another object" in _refusal(file.read_bytes())


def test_an_archive_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path):
    file = tmp_path / "bomb.skops"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        for n in range(3):
            archive.writestr(f"{n}.npy", bytes(100_000_000))
    assert "would unpack to 300 MB" in _refusal(file.read_bytes())


def test_init_refuses_a_crafted_champion(born, tmp_path):
    file = tmp_path / "model.skops"
    file.write_bytes(crafted(functools.partial(np.savetxt, str(tmp_path / "stolen"))))
    words = ("--data", str(born.source), "--time", "when", "--label", "bad", "--champion")
    said = born.run("continual", "init", str(tmp_path / "new"), *words, str(file), code=None)
    assert said.code and "not trusted" in said.err and "Traceback" not in said.all
    assert not (tmp_path / "stolen").exists()


@pytest.mark.parametrize("version", ["1.7.2", "1.8.0"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_model_of_an_earlier_scikit_learn_answers_as_it_did(version, task):
    "Written by `dump` under that version; the compiled losses had another module then."
    from pathlib import Path

    import pandas as pd

    from continual_nb.core.models import predict
    from continual_nb.core.params import Data

    content = (Path(__file__).parent / f"models/{task}-sklearn-{version}.skops").read_bytes()
    answers = json.loads((Path(__file__).parent / "models/answers.json").read_text())[task]
    data = Data(
        source="x", time="t", label="l", task=task, numeric=("x",), categorical=("c",)
    )
    rows = pd.DataFrame({"x": [-1.5, -0.2, 0.4, 2.0], "c": ["a", "b", "c", None]})
    found = predict(load(content, sha256(content)), rows, data)
    assert np.allclose(found.answer if found.proba is None else found.proba[:, 1], answers)


@pytest.mark.parametrize("harm", ["changed", "cut short"])
def test_the_code_that_was_kept_is_checked_before_it_is_imported(turned, copy, tmp_path, harm):
    loop, mark = copy(turned), tmp_path / "ran"
    kept = loop.path("data/code.zip")
    if harm == "changed":
        with zipfile.ZipFile(kept) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        files["continual_nb/__init__.py"] += SPOON.format(mark=mark).encode()
        with zipfile.ZipFile(kept, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        kept.write_bytes(kept.read_bytes()[:5000])
    named = loop.path("data/code.yaml")
    named.write_text(re.sub(r"decide: \w{64}", f"decide: {'0' * 64}", named.read_text()))
    refused = loop.continual("stage", "decide", code=5, CONTINUAL_WARM="").err
    assert "data/code.zip is not the archive" in refused and not mark.exists()
