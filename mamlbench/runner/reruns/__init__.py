"""Running a base revision and the present code again by turns, so that their times compare."""
