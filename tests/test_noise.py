"Labels that nothing predicts, beside a column that gives them away: what the command line says."

import numpy as np

from loop import begun, events

from continual_nb.core.params import Params


def test_shuffled_labels_give_no_model_and_the_column_that_copies_them_is_left_out(tmp_path):
    frame = events(2)
    labels = np.random.default_rng(4).permutation(frame["bad"])
    loop = begun(tmp_path / "home", frame.assign(bad=labels, outcome=1.0 * labels))
    assert "outcome" not in Params.load(loop.path("params.yaml")).data.features
    loop.dvc("repro")
    found = loop.json("data/work/evaluate/evaluation.json")
    assert found["candidate"] is None and found["answer"] in ("keep", "not enough data")
    assert found["reason"].startswith("No model can be put in place.")
    assert "from the base rate" in found["reason"] or "than the base rate" in found["reason"]
    loop.continual("sign", "approve", "--by", "Ann", "--reason", "nothing to put in place")
    loop.dvc("repro")
    loop.continual("seal")
    (page,) = loop.path("reports").glob("001-*/report.html")
    assert "No model yet: none can be put in place." in page.read_text()
