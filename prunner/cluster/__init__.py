"""``DaskRunner``: the nodes of a pipeline as the tasks of a Dask cluster."""
