"""Small answers in the place of the real ones, for this process and for the kernels that it starts.

The report knows of each part only a few fields and the section that it shows, so its tests need no other part of the loop.
"""

import os
import sys
import types
from typing import ClassVar


def install() -> None:
    """Put a class of the right name where the report looks for each part."""
    from continual_nb.core import pictures
    from continual_nb.core.results import Result, Section, Table

    class Incident(Result):
        kind: str
        severity: str
        title: str
        sentence: str

    class Metrics(Result):
        loss: float | None
        loss_low: float | None
        loss_high: float | None
        skill: float | None

    class Ingested(Result):
        file: ClassVar[str] = "ingested.json"
        rows: int

        def section(self):
            return Section(
                "What came in", f"{self.rows:,} new events came in; nothing was set aside."
            )

    class Monitoring(Result):
        file: ClassVar[str] = "monitoring.json"
        answer: str
        rows: int
        mature: int
        performance: Metrics | None
        incidents: tuple[Incident, ...]
        columns: tuple[tuple[str, float, float, float], ...] = ()

        def section(self):
            figure, ax = pictures.axes(height=2.6)
            for place, (_, effect, low, high) in enumerate(reversed(self.columns)):
                ax.plot([low, high], [place, place], color=pictures.QUIET, linewidth=2)
                ax.plot(
                    [effect], [place], "o", color=pictures.ORANGE if effect > 0.1 else pictures.BLUE
                )
            ax.axvline(0.1, color=pictures.INK, linewidth=1, linestyle=":")
            ax.set_yticks(
                range(len(self.columns)),
                [c[0][:40].replace("\n", " ").replace("$", r"\$") for c in reversed(self.columns)],
            )
            ax.set_xlabel("distance from the reference")
            alt = "Distance from the reference by column: " + ", ".join(
                f"{c[0]} {c[1]:.2f}" for c in self.columns
            )
            rows = tuple(
                (
                    c[0],
                    f"{c[1]:.2f}",
                    f"{c[2]:.2f}",
                    f"{c[3]:.2f}",
                    "drifted" if c[1] > 0.1 else "stable",
                )
                for c in self.columns
            )
            found = tuple((i.severity, i.title, i.sentence) for i in self.incidents)
            tables = (
                Table(("severity", "incident", "what it means"), found, "Incidents"),
                Table(
                    ("column", "effect", "low", "high", "verdict"),
                    rows,
                    "Columns against the reference, the largest effect first",
                ),
            )
            drifted = sum(c[1] > 0.1 for c in self.columns)
            return Section(
                "Monitoring",
                f"{drifted} of {len(self.columns)} columns have left the reference.",
                (pictures.picture(figure, alt),),
                tables,
                (
                    "Text columns are compared by length only.",
                    "Windows before the reference are not compared.",
                ),
            )

    class Proposal(Result):
        file: ClassVar[str] = "proposal.json"
        action: str
        cause: str

        def section(self):
            return Section("Proposal", f"The policy advises to {self.action}. {self.cause}")

    class Composition(Result):
        file: ClassVar[str] = "composition.json"
        rows: int

        def section(self):
            return Section(
                "Training and evaluation sets",
                f"Every one of {self.rows:,} rows has a reason.",
                tables=(
                    Table(
                        ("recipe", "rows", "windows"),
                        (("refit_all", "81,204", "3"), ("refit_recent", "27,004", "1")),
                        "Sets",
                    ),
                ),
            )

    class Training(Result):
        file: ClassVar[str] = "training.json"
        answer: str

        def section(self):
            return Section("Challengers", "Two challengers were trained.")

    class Evaluation(Result):
        file: ClassVar[str] = "evaluation.json"
        answer: str
        reason: str
        beaten_by_constant: ClassVar[str] = ""

        def section(self):
            figure, ax = pictures.axes(height=1.8)
            ax.errorbar([0.012, 0.004], [1, 0], xerr=[0.006, 0.007], fmt="o", color=pictures.BLUE)
            ax.axvline(0, color=pictures.INK, linewidth=1)
            ax.set_yticks([0, 1], ["origin=JFK", "all"])
            ax.set_xlabel("gain per event")
            gates = (
                ("enough rows", "pass", "13,021 labelled rows."),
                ("better than the champion", "pass", "The gain is 0.012 (0.006 to 0.018)."),
                ("no slice harmed", "not enough data", "Slice carrier=OO holds 12 rows."),
            )
            return Section(
                "Challenger against champion",
                self.reason,
                (
                    pictures.picture(
                        figure,
                        "Gain per event: all 0.012 (0.006 to 0.018), origin JFK 0.004 (-0.003 to 0.011).",
                    ),
                ),
                (Table(("gate", "verdict", "reason"), gates, "Gates"),),
            )

    class Outcome(Result):
        file: ClassVar[str] = "outcome.json"
        answer: str
        verdict: str
        asked: str = ""
        by: str = ""
        verified: bool = False
        automatic: bool = False
        evidence: dict[str, str] = {}
        reason: str = ""
        champion: str | None = None
        worth: str = ""
        unchecked: tuple[str, ...] = ()

        def section(self):
            return Section("Decision", self.verdict)

    class Impact(Result):
        file: ClassVar[str] = "impact.json"
        in_words: str

        def section(self):
            return Section("What the updates have been worth", self.in_words)

    class Hindsight(Result):
        file: ClassVar[str] = "hindsight.json"

        def section(self):
            return Section("What became of earlier decisions", "Of 2 decisions so far 1 was right.")

    class Trust(Result):
        file: ClassVar[str] = "trust.json"
        score: float | None

        def section(self):
            return Section(
                "How far can this be trusted?", f"The record scores {self.score} of 100."
            )

    parts = {
        "core.ingest": Ingested,
        "monitoring.result": Monitoring,
        "policy.result": Proposal,
        "composition.result": Composition,
        "training.cards": Training,
        "evaluation.result": Evaluation,
        "decisions.result": Outcome,
        "decisions.impact": Impact,
        "decisions.hindsight": Hindsight,
        "decisions.trust": Trust,
    }
    for home, part in parts.items():
        name = f"continual_nb.{home}"
        sys.modules[name] = types.ModuleType(name)
        setattr(sys.modules[name], part.__name__, part)


if os.environ.get("CONTINUAL_STANDINS"):
    install()
