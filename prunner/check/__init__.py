"""``prunner check``: what a run would do with a project, without running anything."""
