"""The lab: which method works on this problem, and why."""
