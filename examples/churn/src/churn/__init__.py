"""Which customers of a telephone company will leave?"""
