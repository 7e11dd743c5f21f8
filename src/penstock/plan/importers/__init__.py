"""Other tools' pipeline files as the stages of a pipeline file: `dvc.yaml` and `MLproject`."""
