"""Scripts of the repository: mutants, tables."""
