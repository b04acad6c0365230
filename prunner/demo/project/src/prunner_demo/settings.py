"""Project settings."""

from prunner_demo.hooks import NodeCounter

HOOKS = (NodeCounter(),)

CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
