"""Where stages run: executors behind the protocol of `base`; what runs a stage is imported when one runs."""
