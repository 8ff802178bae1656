"""What somebody who can write to the project's folder may try, each from the real command line."""

import functools
import json
import re
import shutil
import subprocess
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
    data = Data(source="x", time="t", label="l", task=task, numeric=("x",), categorical=("c",))
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


# -- signatures and the record ---------------------------------------------------------------------------
def broken(loop, *words: str, code: int = 5) -> str:
    return loop.continual(*(words or ("verify",)), code=code).err


def sealed_again(loop, tag: str) -> None:
    "Commit whatever was changed, and move a tag there, as a forger would."
    loop.git("add", "-A", "reports", "dvc.lock", "data")
    loop.git("commit", "-q", "-a", "--amend", "--no-edit")
    loop.git("tag", "-f", "-a", tag, "-m", "sealed")


def fitted(loop, name: str, file: str) -> None:
    "Make record.json fit a changed file of a record."
    record = loop.path(f"reports/{name}/record.json")
    content = json.loads(record.read_text())
    content["files"][file] = sha256(loop.path(f"reports/{name}/{file}"))
    record.write_text(json.dumps(content))


@pytest.mark.parametrize("file", ["report.html", "evidence/outcome.json", "evidence/dvc.lock"])
def test_a_falsified_record_is_found_though_record_and_tag_fit(sealed, copy, file):
    loop, name = copy(sealed), "001-2024-01"
    path = loop.path(f"reports/{name}/{file}")
    path.write_text(path.read_text().replace("2024", "2042"))
    fitted(loop, name, file)
    sealed_again(loop, f"iter/{name}")
    assert name in broken(loop)


def test_a_rewritten_seal_is_found_by_the_one_after_it_and_by_a_known_hash(twice, copy):
    loop, name = copy(twice), "001-2024-01"
    known = json.loads(loop.continual("verify", "--json").out)["newest"]["hash"]
    first = json.loads(loop.path("reports/002-2024-02/record.json").read_text())["previous"]
    record = loop.path(f"reports/{name}/record.json")
    assert first == {"tag": f"iter/{name}", "sha256": sha256(record)}
    assert "not anchored" not in loop.continual("verify", "--known", known).out
    partly = loop.continual("verify", "--known", first["sha256"]).out
    assert "iter/002-2024-02 and later are not anchored" in partly
    record.write_text(record.read_text() + "\n")
    loop.git("commit", "-q", "-a", "--amend", "--no-edit")
    for tag in (f"iter/{name}", "iter/002-2024-02"):
        loop.git("tag", "-f", "-a", tag, "-m", "sealed")
    assert "iter/002-2024-02 does not follow from the seal before it" in broken(loop)
    assert "no seal in this history has the hash" in broken(
        copy(twice, "b"), "verify", "--known", "0" * 64
    )


@pytest.mark.parametrize("gone", ["iter/001-2024-01", "iter/002-2024-02"])
def test_a_deleted_tag_is_named(twice, copy, gone):
    loop = copy(twice)
    loop.git("tag", "-d", gone)
    said = broken(loop)
    assert gone.removeprefix("iter/") in said or "the seal of iteration 1 is missing" in said
    if gone == "iter/002-2024-02":
        for words in (["seal"], ["open"], ["next"]):
            assert f"the seal {gone} is not in this history" in broken(loop, *words)


def test_a_clone_without_tags_verifies_nothing_and_seals_nothing(twice, copy):
    loop = copy(twice)
    loop.git("tag", "-d", *loop.git("tag").split())
    assert "the ledger holds decisions (1), and no seal of them" in broken(loop)
    for words in (("open",), ("seal",), ("run",)):
        assert "git fetch --tags" in broken(loop, *words)
    said = loop.continual("status", code=5).out
    assert "is not in it: no window is opened or sealed" in said
    assert said.rstrip().endswith("next: git fetch --tags")


def test_a_shallow_clone_is_told_to_fetch_the_history_too(twice, tmp_path):
    loop = type(twice)(tmp_path)
    where = f"file://{twice.root}"
    twice.run("git", "clone", "-q", "--depth", "1", where, str(loop.root), where=tmp_path)
    shutil.copytree(twice.path(".dvc/cache"), loop.path(".dvc/cache"))
    loop.dvc("checkout", "-q")
    for words in (("verify",), ("open",)):
        assert "`git fetch --tags --unshallow`" in broken(loop, *words)
    loop.git("fetch", "-q", "--tags", "--unshallow")
    assert "everything fits" in loop.continual("verify").out


def test_a_tag_that_is_no_seal_and_one_that_holds_no_record_are_named(sealed, copy):
    loop = copy(sealed)
    loop.git("tag", "iter/foo")
    assert "the tag iter/foo is no seal" in broken(loop)
    loop.git("tag", "-d", "iter/foo")
    loop.git("tag", "iter/002-2024-02")
    assert "the tag iter/002-2024-02 holds no sealed record" in broken(loop)


def test_only_tags_of_this_history_count_and_numbers_are_numbers(sealed, copy):
    from continual_nb.loop.project import Project

    loop = copy(sealed)
    loop.git("checkout", "-q", "-b", "experiment")
    loop.git("commit", "-q", "--allow-empty", "-m", "Elsewhere")
    loop.git("tag", "iter/002-2024-02")
    loop.git("checkout", "-q", "-")
    project = Project(loop.root)
    assert project.sealed_tags() == ["iter/001-2024-01"]
    for number in (1000, 998, 999):
        loop.git("tag", f"iter/{number}-x")
    assert [tag[5:-2] for tag in project.sealed_tags()[1:]] == ["998", "999", "1000"]


def test_two_who_seal_the_same_iteration_are_told_and_both_ways_out_work(turned, copy):
    loop = copy(turned)
    main = loop.git("branch", "--show-current")
    loop.git("checkout", "-q", "-b", "ada")
    sign = ("sign", "approve", "--reason", "x", "--by")
    loop.continual(*sign, "Ada")
    loop.dvc("repro", "-q")
    loop.continual("seal")
    loop.git("checkout", "-q", main)
    loop.dvc("repro", "-q")
    loop.continual(*sign, "Grace")
    loop.dvc("repro", "-q")
    before, head = loop.everything(), loop.git("rev-parse", "HEAD")
    said = broken(loop, "seal")
    assert "iter/001-2024-01 is a seal outside this history (ada)" in said
    assert loop.everything() == before and loop.git("rev-parse", "HEAD") == head
    assert "next: continual seal" in loop.continual("status", code=2).out

    taken = loop.copy(loop.home.parent / "taken")
    for words in (("git", "stash", "-u", "-q"), ("git", "merge", "-q", "iter/001-2024-01")):
        taken.run(*words)
    taken.dvc("checkout", "-q", "--force")
    assert "everything fits" in taken.continual("verify").out
    taken.continual("open")

    given_up = loop.copy(loop.home.parent / "given-up")
    given_up.git("tag", "-d", "iter/001-2024-01")
    given_up.continual("seal")
    assert "everything fits" in given_up.continual("verify").out
    given_up.run("git", "merge", "-q", "ada", code=1)
    for words in (("status",), ("open",)):
        said = broken(given_up, *words)
        assert "a merge has left" in said and "`git merge --abort`" in said
    given_up.git("merge", "--abort")
    assert "next: continual open" in given_up.continual("status").out


def change(file, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", ["reference.json", "champion.skops"])
def test_a_state_edited_by_hand_is_found_and_not_sealed(opened, copy, name):
    loop = copy(opened)
    file = loop.path(f"data/state/in/{name}")
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b" ")
    loop.dvc("add", "-q", "data/state/in")
    assert "data/state/in is not the state that iter/001-2024-01 sealed" in broken(loop)


def test_a_state_out_that_dvc_lock_does_not_name_is_not_carried_on(sealed, copy):
    loop = copy(sealed)
    file = loop.path("data/state/out/scores.json")
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b" ")
    assert "data/state/out is not what stage promote made" in broken(loop, "open")
    assert loop.json("data/state/in/state.json")["iteration"] == 0
    loop.dvc("checkout", "-f", "data/state/out")
    loop.continual("open")


def test_an_edited_page_is_neither_signed_nor_sealed(turned, approved, copy):
    loop = copy(turned)
    change(loop.path("data/work/report/report.html"), "2024", "2042")
    sign = ("sign", "approve", "--by", "continual", "--reason", "x")
    assert "data/work/report is not what stage report made" in broken(loop, *sign)
    loop.dvc("checkout", "-f", "data/work/report")
    loop.continual(*sign)


@pytest.mark.parametrize("harm", ["index", "lock", "cache", "evidence"])
def test_what_lies_beside_the_records_is_checked(sealed, copy, harm):
    loop = copy(sealed)
    if harm == "index":
        change(loop.path("reports/index.html"), "2024", "2042")
    elif harm == "lock":
        change(loop.path("dvc.lock"), "continual stage report", "continual stage  report")
    elif harm == "cache":
        file = next(loop.path(".dvc/cache/files/md5").glob("??/*.dir"))
        file.chmod(0o644)
        file.write_text(file.read_text() + " ")
    else:
        loop.path("reports/001-2024-01/evidence/outcome.json").unlink()
    words = {
        "index": "reports/index.html",
        "lock": "dvc.lock",
        "cache": "is not what its name says",
    }
    assert words.get(harm, "evidence") in broken(loop)


def test_who_joins_the_approvers_after_opening_does_not_sign_this_iteration(opened, copy):
    loop = copy(opened)
    loop.set(approvers="[continual, Eve]")
    loop.git("commit", "-q", "-m", "Approvers", "params.yaml")
    loop.git("tag", "-f", "-a", "iter/001-2024-01", "-m", "sealed")
    loop.set(approvers="[continual, Mallory]")
    sign = ("sign", "approve", "--reason", "x", "--by")
    for name in ("Mallory", "Eve"):
        assert f"'{name}' is not one of the approvers (continual)" in broken(
            loop, *sign, name, code=1
        )
    assert "approvers" not in broken(loop, *sign, "continual", code=2)
    loop.set(approvers="[Mallory]")
    assert "nobody is left" in broken(loop, *sign, "Mallory", code=1)


# -- a library moves on ----------------------------------------------------------------------------------
def test_the_imputer_of_a_model_of_scikit_learn_1_7_has_what_is_read_today():
    "It lacks an attribute that was added since; the answers are those of then, under 1.7.2."
    from pathlib import Path

    import pandas as pd

    from continual_nb.core.models import predict
    from continual_nb.core.params import Data

    content = (Path(__file__).parent / "models/linear-sklearn-1.7.2.skops").read_bytes()
    data = Data(source="x", time="t", label="l", numeric=("x",), categorical=("c",))
    rows = pd.DataFrame({"x": [-1.5, -0.2, 0.4, 2.0, None], "c": ["a", "b", "c", None, "a"]})
    then = [0.038076985660, 0.179320932733, 0.615528280314, 0.998943257388, 0.903564539260]
    found = predict(load(content, sha256(content)), rows, data)
    assert np.allclose(found.proba[:, 1], then, atol=1e-9)


def test_a_model_that_another_scikit_learn_left_mute_is_named_with_the_way_out():
    "It lacks what this version reads; nothing is known of that until it has to answer."
    import pandas as pd
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from continual_nb.core.models import dump, predict
    from continual_nb.core.params import Data

    rows = pd.DataFrame({"x": [0.1, 0.4, 2.0, 3.0]})
    pipeline = make_pipeline(SimpleImputer(), LogisticRegression()).fit(rows, list("0011"))
    del pipeline[0].statistics_
    model = load(content := dump(pipeline), sha256(content))
    data = Data(source="x", time="t", label="l", numeric=("x",))
    with pytest.raises(ContinualError, match="does not work with the libraries installed") as named:
        predict(model, rows, data)
    assert named.value.code == 5 and "data/code.yaml" in named.value.remedy


def test_open_has_the_champion_answer_before_anything_moves(sealed, copy):
    loop = copy(sealed)
    loop.set(numeric="[age]")
    before = loop.everything()
    assert "no longer names 'amount'" in broken(loop, "open", code=1)
    assert loop.everything() == before


# -- names -----------------------------------------------------------------------------------------------
def key_pair(folder, name: str) -> str:
    "Make an SSH key in a file of that name; returns its public half as a list of approvers names it."
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)]
    subprocess.run(words, check=True)
    return " ".join((folder / f"{name}.pub").read_text().split()[:2])


@pytest.fixture(scope="module")
def keyed(turned, world, tmp_path_factory):
    "Iteration 1, sealed under Ada's key; the second one is open. Keys lie beside the project."
    loop = turned.copy(world / "keyed")
    key = key_pair(loop.home, "ada")
    loop.set(approvers=f"[Ada {key}, Grace]")
    loop.git("commit", "-q", "-m", "Ada and Grace sign", "params.yaml")
    loop.dvc("repro")
    words = ("sign", "approve", "--by", "Ada", "--reason", "The gates passed.")
    assert "Ada is verified" in loop.continual(*words, "--key", str(loop.home / "ada")).out
    loop.dvc("repro")
    loop.continual("seal")
    loop.continual("open")
    loop.dvc("repro", "evaluate")
    return loop


def test_a_name_is_verified_by_the_key_that_the_approvers_list_names(keyed):
    record = "reports/001-2024-01"
    assert keyed.json(f"{record}/evidence/outcome.json")["verified"] is True
    assert "name unverified" not in keyed.path(f"{record}/report.html").read_text()
    said = keyed.continual("verify").out
    assert "1  names that signatures prove" in said and "the keys of Ada: nothing outside" in said
    known = keyed.continual("verify", "--json").out
    known = json.loads(known)["newest"]["hash"]
    assert "the keys of" not in keyed.continual("verify", "--known", known).out


def test_ssh_keygen_alone_makes_and_checks_a_signature(keyed, copy):
    loop = copy(keyed)
    decision, text = loop.path("data/decision.yaml"), loop.home / "decision"
    loop.continual("sign", "approve", "--by", "Ada", "--reason", "By hand.")
    text.write_text(decision.read_text())
    ours = ("ssh-keygen", "-Y", "sign", "-q", "-n", "continual-decision", "-f")
    loop.run(*ours, str(loop.home / "ada"), str(text))
    armour = (loop.home / "decision.sig").read_text()
    decision.write_text(
        text.read_text() + "signature: |\n" + "".join(f"  {line}\n" for line in armour.splitlines())
    )
    loop.dvc("repro", "promote")
    assert loop.json("data/work/promote/outcome.json")["verified"] is True
    decision.write_text(decision.read_text() + "more: 3\n")
    assert "holds keys below its signature" in broken(loop, "seal")
    words = ("sign", "approve", "--by", "Ada", "--reason", "x", "--key", str(loop.home / "ada"))
    loop.continual(*words)
    signature = decision.read_text().partition("signature: |\n")
    text.write_text(signature[0])
    (loop.home / "sig").write_text("\n".join(map(str.strip, signature[2].splitlines())) + "\n")
    key = (loop.home / "ada.pub").read_text()
    (loop.home / "signers").write_text(f"Ada {key}")
    check = "ssh-keygen -Y verify -f signers -I Ada -n continual-decision -s sig < decision"
    assert "Good" in loop.run("sh", "-c", check, where=loop.home).out


@pytest.mark.parametrize("how", ["another key", "added since", "changed text", "for a commit"])
def test_what_does_not_prove_a_name(keyed, copy, how):
    loop = copy(keyed)
    other, decision = key_pair(loop.home, "other"), loop.path("data/decision.yaml")
    by, key = ("Grace", "other") if how == "added since" else ("Ada", "ada")
    if how == "added since":
        text = loop.path("params.yaml").read_text()
        loop.path("params.yaml").write_text(text.replace("Grace]", f"Grace {other}]"))
        loop.git("commit", "-q", "-m", "A key of Grace", "params.yaml")
        loop.dvc("repro", "evaluate")
    key = "other" if how == "another key" else key
    said = loop.continual(
        "sign", "approve", "--by", by, "--reason", "x", "--key", str(loop.home / key)
    )
    assert ("name unverified" in said.out) == (how in ("another key", "added since"))
    text = decision.read_text()
    if how == "changed text":
        decision.write_text(text.replace('reason: "x"', 'reason: "y"'))
    if how == "for a commit":
        words = ("ssh-keygen", "-Y", "sign", "-q", "-n", "git", "-f", str(loop.home / "ada"))
        (loop.home / "text").write_text(text.partition("signature: |\n")[0])
        loop.run(*words, str(loop.home / "text"))
        armour = (loop.home / "text.sig").read_text().splitlines()
        signed = "".join(f"  {line}\n" for line in armour)
        decision.write_text(text.partition("signature: |\n")[0] + "signature: |\n" + signed)
    loop.dvc("repro", "promote")
    assert loop.json("data/work/promote/outcome.json")["verified"] is False


def test_git_that_signs_with_ssh_signs_decisions_and_says_when_it_cannot(keyed, copy):
    loop = copy(keyed)
    loop.git("config", "gpg.format", "ssh")
    loop.git("config", "user.signingkey", str(loop.home / "ada.pub"))
    sign = ("sign", "approve", "--by", "Ada", "--reason", "x")
    assert "Ada is verified" in loop.continual(*sign).out
    before = loop.path("data/decision.yaml").read_bytes()
    loop.git("config", "user.signingkey", str(loop.home / "gone"))
    assert "could not be signed with" in broken(loop, *sign, code=1)
    assert loop.path("data/decision.yaml").read_bytes() == before


def test_a_file_of_signers_outside_vouches_for_the_keys(keyed, copy):
    loop = copy(keyed)
    key, other = (loop.home / "ada.pub").read_text(), key_pair(loop.home, "other")
    signers = loop.home / "signers"
    signers.write_text(f"Ada {key}")
    assert "the keys of" not in loop.continual("verify", "--signers", str(signers)).out
    signers.write_text(f"Ada {other}\nEve {key}")
    assert "is not one of Ada" in broken(loop, "verify", "--signers", str(signers))
    inside = loop.path("signers")
    inside.write_text(f"Ada {key}")
    assert "inside the repository" in broken(loop, "verify", "--signers", str(inside), code=1)


def test_a_record_that_calls_a_name_verified_without_proof_is_found(sealed, copy):
    loop, name = copy(sealed), "001-2024-01"
    outcome = loop.path(f"reports/{name}/evidence/outcome.json")
    change(outcome, '"verified": false', '"verified": true')
    from continual_nb.loop.project import Project
    from continual_nb.loop.verify import read_seal, signers

    project = Project(loop.root)
    with pytest.raises(ContinualError, match="no signature proves that name"):
        signers(project, [read_seal(project, f"iter/{name}")])


def test_a_remote_vouches_for_the_seals_that_it_holds(twice, copy):
    loop = copy(twice)
    there = loop.home / "there.git"
    loop.run("git", "init", "-q", "--bare", str(there))
    loop.git("remote", "add", "origin", str(there))
    assert "holds no seal" in broken(loop, "verify", "--remote", "origin", code=1)
    loop.git("push", "-q", "origin", "iter/001-2024-01")
    partly = loop.continual("verify", "--remote", "origin").out
    assert "iter/002-2024-02 and later are not anchored" in partly
    loop.git("push", "-q", "origin", "--tags")
    assert "not anchored" not in loop.continual("verify", "--remote", "origin").out
    assert "cannot be asked" in broken(loop, "verify", "--remote", "nowhere", code=1)
    loop.git("tag", "-f", "-a", "iter/002-2024-02", "-m", "moved", "iter/002-2024-02^{}")
    assert "is another one on origin" in broken(loop, "verify", "--remote", "origin")


def test_feedback_names_are_never_verified_by_the_name_that_git_knows(sealed, copy):
    loop = copy(sealed)
    loop.continual("feedback", "--by", "continual", "--text", "Fine.")
    said = json.loads(loop.path("data/feedback.jsonl").read_text().splitlines()[-1])
    assert said["by"] == loop.git("config", "user.name") and said["verified"] is False


def test_a_mandate_that_is_widened_after_opening_counts_from_the_next_iteration(opened, copy):
    from continual_nb.loop.project import Project, promote_as_opened

    loop = copy(opened)
    assert not promote_as_opened(Project(loop.root)).mandate.rollback
    loop.set(rollback="true", for_people="0.5")
    held = promote_as_opened(Project(loop.root)).mandate
    assert not held.rollback and held.for_people == 0.5


def test_a_change_of_dvc_yaml_after_signing_makes_the_signature_stale(approved, copy):
    loop = copy(approved)
    file = loop.path("dvc.yaml")
    file.write_text(file.read_text() + "# one more line\n")
    assert "the sign-off is stale: dvc.yaml" in broken(loop, "seal", code=3)
