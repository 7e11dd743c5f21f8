"""Is a data set what its schema says?"""
