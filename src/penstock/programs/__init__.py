"""Programs that run inside stages, in an environment of their own.

They import nothing of Penstock but each other, and each other by relative imports only: a recipe carries the
ones it needs into the workspace, where they are called `penstock_programs` (`penstock.plan.carrying`).
"""
