"""What is put into the catalog before a run is what Kedro would have put there."""

import inspect
import logging
import random

import pytest
from kedro.io import CatalogConfigResolver, DataCatalog, MemoryDataset, SharedMemoryDataCatalog
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner
from kedro_datasets.pickle import PickleDataset
from rich.logging import RichHandler

from prunner import ParallelRunner, kedro_internals

PATTERNS = {
    "part_{number:d}": {"type": "MemoryDataset", "copy_mode": "assign"},
    "{name}#copy": {"type": "MemoryDataset", "metadata": {"of": "{name}"}},
    "{space}.{name}": {"type": "CachedDataset", "dataset": {"type": "MemoryDataset"}},
}
CATCH_ALL = {"{anything}": {"type": "MemoryDataset", "copy_mode": "copy"}}
ENTRIES = {
    "held": {"type": "MemoryDataset", "copy_mode": "deepcopy"},
    "cached": {"type": "CachedDataset", "dataset": {"type": "MemoryDataset"}},
}
NAMES = ["held", "cached", "part_1", "part_x", "a#copy", "ns.b", "out", "Part_7", "two\nlines"]


@pytest.fixture(autouse=True)
def _no_colours():
    """Kedro's own handler takes longer for the lines of a test than all the rest."""
    handlers = [each for each in logging.root.handlers if isinstance(each, RichHandler)]
    for each in handlers:
        logging.root.removeHandler(each)
    yield
    for each in handlers:
        logging.root.addHandler(each)


class KedrosWay(SequentialRunner):
    """Does all but running."""

    def _run(self, *args, **kwargs):
        pass


class OurWay(ParallelRunner):
    """Does all but running."""

    def _run(self, *args, **kwargs):
        pass


def identity(value):
    return value


def random_pipeline(rng):
    outputs = list(dict.fromkeys(rng.choice(NAMES) + rng.choice(["", "2"]) for _ in range(12)))
    sources = ["given", *outputs] if rng.random() < 0.8 else ["given", "unknown", *outputs]
    return Pipeline(
        node(identity, rng.choice(sources[: index + 1]), output, name=f"n{index}")
        for index, output in enumerate(outputs)
    )


def random_config(rng):
    config = {name: PATTERNS[name] for name in PATTERNS if rng.random() < 0.5}
    config |= {name: ENTRIES[name] for name in ENTRIES if rng.random() < 0.5}
    return config | (CATCH_ALL if rng.random() < 0.2 else {})


def result_of(runner, pipeline, catalog, caplog, *args):
    caplog.clear()
    outcome: object = None
    try:
        outcome = {name: repr(each) for name, each in runner.run(pipeline, catalog, *args).items()}
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    said = [each.getMessage() for each in caplog.records if each.name.startswith("kedro.io")]
    parts = {n: vars(d) for n, d in catalog._datasets.items() if type(d) is MemoryDataset}
    return {
        "outcome": outcome,
        "said": said,
        "keys": catalog.keys(),
        "types": [type(each) for each in catalog._datasets.values()],
        "parts": parts,
        "text": repr(catalog),
        "config": catalog.to_config()[0],
        "versions": (catalog._load_versions, catalog._save_version),
    }


@pytest.mark.filterwarnings("ignore:One or more dataset names contain")
@pytest.mark.parametrize("seed", range(25))
def test_catalog_is_the_same(seed, caplog):
    caplog.set_level("DEBUG")
    rng = random.Random(seed)
    pipeline, config = random_pipeline(rng), random_config(rng)
    results = []
    for runner in (KedrosWay(), OurWay()):
        catalog = DataCatalog.from_config(config, load_versions={}, save_version="now")
        catalog["given"] = 1
        results.append(result_of(runner, pipeline, catalog, caplog))
    assert results[0] == results[1]


def plain_pipeline(outputs=3):
    return Pipeline(node(identity, "given", f"y{i}", name=f"n{i}") for i in range(outputs))


def test_datasets_do_not_share_what_can_be_changed():
    catalog = DataCatalog({"given": MemoryDataset(1)})
    OurWay().run(plain_pipeline(2), catalog)
    vars(catalog["y0"])["_init_args"]["metadata"] = {}
    assert vars(catalog["y1"])["_init_args"]["metadata"] is None


def test_kedro_is_not_asked_for_what_only_its_default_knows(monkeypatch):
    asked = []
    original = CatalogConfigResolver.resolve_pattern

    def noting(self, name):
        asked.append(name)
        return original(self, name)

    monkeypatch.setattr(CatalogConfigResolver, "resolve_pattern", noting)
    catalog = DataCatalog.from_config({"part_{number:d}": {"type": "MemoryDataset"}})
    catalog["given"] = 1
    names = Pipeline([*plain_pipeline(2).nodes, node(identity, "given", "part_1")])
    OurWay().run(names, catalog)
    assert asked == ["part_1"]


class Noting(DataCatalog):
    """Wants to know of each look at it."""

    def get(self, key, *args, **kwargs):
        """Note the name."""
        self.__dict__.setdefault("asked", []).append(key)
        return super().get(key, *args, **kwargs)


class OtherDefault(DataCatalog):
    """Has a default of its own."""

    default_runtime_patterns = {  # noqa: RUF012 - as Kedro has it
        "{default}": {"type": "MemoryDataset", "copy_mode": "assign"}
    }


@pytest.mark.parametrize("kind", [Noting, OtherDefault, SharedMemoryDataCatalog])
def test_other_catalogs_are_left_to_kedro(kind):
    found = []
    for runner in (KedrosWay(), OurWay()):
        catalog = kind({"given": MemoryDataset(1)})
        runner.run(plain_pipeline(), catalog)
        asked = list(getattr(catalog, "asked", ()))
        modes = [getattr(each, "_copy_mode", None) for each in catalog.values()]
        found.append((asked, repr(catalog), catalog.keys(), modes))
    assert found[0] == found[1]


def test_another_release_of_kedro_is_left_alone():
    catalog = DataCatalog({"given": MemoryDataset(1)})
    del catalog._config_resolver._dataset_patterns
    kedro_internals.materialize(plain_pipeline(), catalog)
    assert catalog.keys() == ["given"]


ONLY_MISSING = {"only_missing_outputs": True}
KNOWS_IT = "only_missing_outputs" in inspect.signature(SequentialRunner.run).parameters


@pytest.mark.skipif(not KNOWS_IT, reason="this release of Kedro runs all nodes")
@pytest.mark.parametrize(("args", "kwargs"), [((), ONLY_MISSING), ((None, None, True), {})])
def test_nothing_is_made_for_nodes_that_kedro_leaves_out(tmp_path, args, kwargs):
    stored = PickleDataset(filepath=str(tmp_path / "f"))
    stored.save(1)
    names = Pipeline([node(identity, "given", "between"), node(identity, "between", "stored")])
    for runner in (KedrosWay(), OurWay()):
        catalog = DataCatalog({"given": MemoryDataset(1), "stored": stored})
        runner.run(names, catalog, *args, **kwargs)
        assert catalog.keys() == ["given", "stored"]
