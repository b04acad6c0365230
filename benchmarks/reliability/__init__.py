"""The suite ``reliability``: how long failing and stopping take, beside Kedro's own runner.

::

    suite       rounds; one fresh process for each measurement; all into one JSON file
      child     the measured process: runs one probe
        failing     a worker is killed, a node raises: what the caller of run() sees, and when
        stopping    starts a script and stops it: Ctrl-C, SIGTERM, SIGKILL of the parent
          script      runs a pipeline of nodes that go on for a minute
    cases       what is measured, in words
    marks       notes that nodes leave in files: when, and in which process
    report      table and Markdown

Times are those of ``time.monotonic``, whose origin all processes of a machine share.
"""
