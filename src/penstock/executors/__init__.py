"""Where stages run. Executors are named in `base.EXECUTORS` and imported only when chosen."""
