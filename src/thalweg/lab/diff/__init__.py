"""Where two rules part: which settings differ, by how much the paths do, and what makes the second follow the first."""
