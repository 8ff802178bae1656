"The snapshot: what a delivery says late is known late."

import pandas as pd

from continual_nb.core.ingest import delivered, ingest, snapshot
from continual_nb.core.params import Data, Ingest
from continual_nb.core.store import Store, rows_as_of
from continual_nb.core.windows import Cadence, AsOf

DATA = Data(source="orders", time="when", label="y", label_time="known", id="id", numeric=("a",))
MONTHLY = Cadence("month")


class World:
    "A store that grows by looking at deliveries."

    def __init__(self):
        self.frames, self.partitions, self.now = {}, [], None

    def look(self, rows: list[tuple], window: str):
        span = MONTHLY.window(window)
        self.now = span.end
        raw = pd.DataFrame(rows, columns=["id", "when", "a", "y", "known"])
        arrival = snapshot(delivered(raw, DATA), DATA, MONTHLY, self.store(), span.end)
        part, frames, findings = ingest(
            arrival, DATA, Ingest(), AsOf(len(self.partitions) + 1, span, span.end, MONTHLY)
        )
        self.frames[part.name] = frames
        self.partitions.append(part)
        return arrival

    def store(self) -> Store:
        return Store(
            tuple(self.partitions),
            lambda part, file, columns: (
                self.frames[part.name][file][columns] if columns else self.frames[part.name][file]
            ),
        )

    def label(self, name: str, as_of=None):
        rows = rows_as_of(self.store(), DATA, MONTHLY, as_of or self.now)
        return rows.set_index("event_id")["label"].get(name)


def row(name, y, known, a=1.0):
    return (name, "2024-01-10", a, y, known)


def test_a_correction_wins_and_is_counted_once_though_its_own_time_is_earlier():
    world = World()
    world.look([row("e1", 0, "2024-01-20")], "2024-01")
    first = world.now
    told = world.look([row("e1", 1, "2024-01-12")], "2024-02")
    assert told.corrected == 1 and world.label("e1") == "1"
    assert world.label("e1", first) == "0", "the earlier look still sees what was known then"
    again = world.look([row("e1", 1, "2024-01-12")], "2024-03")
    assert (again.corrected, len(again.labels)) == (0, 0)


def test_a_label_that_was_delivered_late_is_known_since_then():
    world = World()
    world.look([row("e1", None, None), row("e2", 1, "2024-01-12")], "2024-01")
    first = world.now
    late = world.look([row("e1", 1, "2024-01-12"), row("e2", 1, "2024-01-12")], "2024-02")
    assert len(late.labels) == 1 and late.corrected == 0
    assert world.label("e1") == "1" and pd.isna(world.label("e1", first))
    assert (late.labels["label_time"] == world.now).all()


def test_a_label_keeps_its_time_where_it_could_not_have_been_seen_before():
    world = World()
    world.look([row("e1", None, None)], "2024-01")
    told = world.look([row("e1", 1, "2024-02-05")], "2024-02")
    assert told.labels["label_time"].tolist() == [pd.Timestamp("2024-02-05", tz="UTC")]


def test_labels_that_are_no_numbers_are_counted_when_they_are_told():
    data = DATA.model_copy(update={"task": "regression"})
    raw = pd.DataFrame(
        [
            ("e1", "2024-01-10", 1.0, "3.5", "2024-01-12"),
            ("e2", "2024-01-11", 1.0, "a lot", "2024-01-12"),
            ("e3", "2024-01-12", 1.0, "", None),
            ("e4", "2024-01-13", 1.0, "many", "2024-03-01"),
        ],
        columns=["id", "when", "a", "y", "known"],
    )
    moment = AsOf(1, MONTHLY.window("2024-01"), MONTHLY.window("2024-01").end, MONTHLY)
    arrival = snapshot(delivered(raw, data), data, MONTHLY, Store((), None), moment.as_of)
    assert (len(arrival.events), len(arrival.labels), arrival.unread) == (4, 1, 1), (
        "what is told in March is not known in January"
    )
    told = [finding.sentence for finding in ingest(arrival, data, Ingest(), moment)[2]]
    assert told == ["1 labels of new events are no numbers; these events count as unlabelled."]
