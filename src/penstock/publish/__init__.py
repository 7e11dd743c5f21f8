"""What leaves the pipeline once its gates passed."""
