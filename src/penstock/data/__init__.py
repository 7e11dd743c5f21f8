"""Programs that run inside a stage: they stand alone and import nothing of Penstock."""
