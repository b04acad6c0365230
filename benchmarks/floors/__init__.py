"""The suite ``floors``: what the machine allows, and how near prunner comes to it.

::

    suite       rounds; one fresh process for each probe; all samples into one JSON file
      child     the measured process: runs one probe
        probe   measures the limit and prunner in turns    dispatch, handoff, peak, order, ...
    points      what is measured, in words, with its target
    verdicts    medians, ratios, met or not
    report      table and Markdown
    plots       one picture for each group of points

A probe may yield samples of several points, as they come from the same runs. The ratio of a
sample is that of two times taken one right after the other, so that a machine that becomes slower
for a while makes both longer; what counts is the median of these ratios.
"""
