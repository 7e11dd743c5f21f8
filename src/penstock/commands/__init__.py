"""The commands of `penstock`, one module each: `add` describes the arguments, `run` does the work."""
