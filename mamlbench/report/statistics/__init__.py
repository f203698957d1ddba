"""Statistics of scores: confidence intervals, significance tests, corrections for multiple comparisons."""
