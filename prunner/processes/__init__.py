"""Processes run: the pool of workers, what runs inside one, and its project set-up."""
