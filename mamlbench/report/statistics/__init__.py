"""Statistics of scores: intervals, significance tests, corrections for multiple comparisons."""
