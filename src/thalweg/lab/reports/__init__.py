"""Pages: one self-contained HTML file each, for races, claims and diffs."""
