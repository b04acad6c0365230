"""What is defined in a script runs in workers, and what comes back is of the script's own types."""

from __future__ import annotations

from pathlib import Path

from tests.processes.projects import make_folder

SCRIPT = """
import functools
import json
import os
import sys
from dataclasses import dataclass
from enum import Enum

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline

from prunner import ParallelRunner

PARENT = os.getpid()
made_here = []


class Model:
    fitted = 0

    def __init__(self, weight):
        self.weight = weight

    def grow(self, factor):
        return Model(self.weight * factor)

    @classmethod
    def of(cls, weight):
        return cls(weight)


class Heavy(Model):
    def grow(self, factor):
        return Heavy(super().grow(factor).weight + 1)


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Odd(Exception):
    def __init__(self, number, colour):
        super().__init__(f"{number} is odd")
        self.number = number
        self.colour = colour


class Multiply:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, number):
        elsewhere()
        return number * self.factor


def elsewhere():
    assert os.getpid() != PARENT
    assert __name__ == "__main__"


def add(first, second, bonus=0):
    elsewhere()
    return first + second + bonus


def grow(model, point):
    elsewhere()
    assert type(model) is Model and isinstance(point, Point)
    return model.grow(point.x), Heavy(3).grow(point.x), Point(point.y, point.x)


def look(model, heavy, point, colours):
    elsewhere()
    assert type(model) is Model and type(heavy) is Heavy and isinstance(heavy, Model)
    assert point == Point(1, 2) and {point: "found"}[Point(1, 2)] == "found"
    assert colours[0] is Colour.RED and colours == [Colour.RED, Colour("green")]
    return {"colour": Colour.GREEN, "by": {Colour.RED: point}}


def fail(colour):
    elsewhere()
    raise Odd(3, colour)


def main():
    elsewhere_doubled = Multiply(2)
    closure_of = 5

    def closure(number):
        elsewhere()
        return number + closure_of

    steps = pipeline(
        [
            node(functools.partial(add, bonus=10), ["two", "three"], "partial", name="partial"),
            node(elsewhere_doubled, "three", "called", name="callable"),
            node(Multiply(3).__call__, "three", "bound", name="bound-method"),
            node(Model.of, "two", "made", name="class-method"),
            node(Point, "two", "point of a class", name="class"),
            node(lambda n: (elsewhere(), n)[1], "three", "lambda", name="lambda"),
            node(closure, "three", "closure", name="closure"),
            node(grow, ["model", "point"], ["grown", "heavy", "turned"], name="grow"),
            node(grow, ["model", "point"], ["own", "own_heavy", "own_turned"], name="own"),
            node(look, ["grown", "heavy", "turned", "colours"], "seen", name="look"),
        ]
    )
    catalog = DataCatalog(
        {
            "two": MemoryDataset(2),
            "three": MemoryDataset(3),
            "model": MemoryDataset(Model(4)),
            "point": MemoryDataset(Point(2, 1)),
            "colours": MemoryDataset([Colour.RED, Colour.GREEN]),
            "red": MemoryDataset(Colour.RED),
        }
    )
    kept = ("own", "own_heavy", "own_turned", "called")
    for name in kept:  # the rest is returned by run()
        catalog[name] = MemoryDataset()
    runner = ParallelRunner(max_workers=2, start_method=sys.argv[1])
    free = {name: dataset.load() for name, dataset in runner.run(steps, catalog).items()}
    grown, heavy, turned, called = (catalog.load(name) for name in kept)
    answer = {
        "numbers": [free[name] for name in ("partial", "bound", "lambda", "closure")],
        "called": called,
        "class method": type(free["made"]) is Model and free["made"].weight == 2,
        "class": free["point of a class"] == Point(2),
        "instance": type(grown) is Model and isinstance(grown, Model) and grown.weight == 8,
        "subclass": type(heavy) is Heavy and isinstance(heavy, Model) and heavy.weight == 7,
        "dataclass": turned == Point(1, 2) and {turned, Point(1, 2)} == {turned},
        "enum": free["seen"]["colour"] is Colour.GREEN,
        "enum as key": free["seen"]["by"][Colour.RED] == turned,
    }
    Model.fitted = 7  # a class that changes between two runs is still the same class
    again = runner.run(pipeline([node(Model(1).grow, "two", "more")]), catalog)["more"].load()
    answer["second run"] = type(again) is Model and again.fitted == 7
    try:
        runner.run(pipeline([node(fail, "red", "never")]), catalog)
    except Odd as error:
        answer["exception"] = (error.number, error.colour is Colour.RED) == (3, True)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
"""


def test_functions_and_classes_of_a_script(tmp_path: Path, start_method: str) -> None:
    answer = make_folder(tmp_path / "script").run_script(SCRIPT, start_method).answer

    assert answer.pop("numbers") == [15, 9, 3, 8]
    assert answer.pop("called") == 6
    assert answer == dict.fromkeys(
        [
            "class method",
            "class",
            "instance",
            "subclass",
            "dataclass",
            "enum",
            "enum as key",
            "second run",
            "exception",
        ],
        True,
    )
