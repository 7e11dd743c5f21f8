"""The program of `uses: measure`: what a predictions table says of a model."""
