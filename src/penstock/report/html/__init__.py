"""The page of a run: one HTML file that loads nothing, made of sections of blocks, with pictures as SVG."""
