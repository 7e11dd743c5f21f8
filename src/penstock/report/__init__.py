"""Views of a run: console, run.json, JUnit, Markdown."""
