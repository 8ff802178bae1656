"""The same crank as a Metaflow flow: `python schedule/flow.py run`, or under the scheduler of your Metaflow installation.

Metaflow is no dependency of continual_nb: `pip install metaflow`. The flow adds retries, a time line and a place to start from; everything that
is decided, is decided by `continual` in the project's folder, which must be on a disk that every step can see.
"""

import json
import subprocess
import sys
from pathlib import Path

from metaflow import FlowSpec, Parameter, retry, step

HERE = Path(__file__).resolve().parent.parent


def continual(*words: str) -> dict:
    "Run a command in the project; 3 (waiting for a person) is an answer, every other code but 0 is an error."
    done = subprocess.run([sys.executable, "-m", "continual_nb", *words, "--json"], cwd=HERE, capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise RuntimeError(f"continual {words[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return {**json.loads(done.stdout.splitlines()[-1]), "code": done.returncode}


class ContinualFlow(FlowSpec):
    "One turn of the loop: as far as it goes without a person, then tell who is asked."

    wait = Parameter("wait", default="1d", help="how long after its end a window's data are complete")
    automatic = Parameter("automatic", default=False, type=bool, help="sign within the mandate in params.yaml")

    @step
    def start(self):
        self.next(self.turn)

    @retry(times=2, minutes_between_retries=5)
    @step
    def turn(self):
        "Open what is due, run the pipeline, seal what is signed."
        self.answer = continual("turn", "--wait", self.wait, *(["--automatic"] if self.automatic else []))
        self.next(self.tell)

    @step
    def tell(self):
        "Tell the hooks of params.yaml; one that fails is tried again by the next run."
        try:
            self.told = continual("notify")
        except RuntimeError as error:
            self.told = {"failed": str(error)}
        self.next(self.end)

    @step
    def end(self):
        print(f"iteration {self.answer['iteration']}: {self.answer['stands']}")


if __name__ == "__main__":
    ContinualFlow()
