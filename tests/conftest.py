from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "prunner", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("prunner")

# Before pytest's own time limit ends everything: what does each worker process hang in?
os.environ["PRUNNER_DUMP_TRACEBACKS_AFTER"] = "90"
os.environ["DO_NOT_TRACK"] = "1"  # kedro-telemetry comes with Kedro


@pytest.fixture(autouse=True)
def _neutral_environment(monkeypatch):
    for name in ("PRUNNER_START_METHOD", "KEDRO_MP_CONTEXT", "KEDRO_ENV", "KEDRO_LOGGING_CONFIG"):
        monkeypatch.delenv(name, raising=False)
