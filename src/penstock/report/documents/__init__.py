"""The documents that programs write, as records: read with care, for whoever shows them."""
