"""The text of the compiled scanners: what any format needs, then a file each for SVMlight and Vowpal Wabbit."""
