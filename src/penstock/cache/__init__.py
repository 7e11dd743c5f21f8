"""Keys, the store and the index of file digests."""
