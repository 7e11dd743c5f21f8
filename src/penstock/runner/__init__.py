"""The loop that walks a plan: the only place where executors, gates, publications and reports meet.

`assess` finds out what is done already and costs no event loop; `execute` runs the rest; `run` is the whole
of it, from a plan to a report.
"""
