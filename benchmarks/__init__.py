"""Benchmarks: speeds as ratios to the memory ceiling or to a rival, interleaved in one run."""
