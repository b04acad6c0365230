"""The suite ``load``: many nodes, datasets, workers and runs.

::

    suite       one fresh process for each case; all into one JSON file
      child     the measured process: runs one probe, and looks what has been left
        graphs      thousands of nodes
        datasets    thousands of datasets; names of datasets and nodes
        processes   many workers; several commands at once
        soak        many runs in one process
    cases       what is measured, in words
    watch       descriptors, memory, threads; what is left
    report      table and Markdown

Wrong results, growth and what is left are errors; times are only reported.
"""
