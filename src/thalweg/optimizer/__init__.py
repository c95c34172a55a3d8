"""A rule started on a user's arrays: stepping, buckets, gradients, settings, row tracking, saving."""
