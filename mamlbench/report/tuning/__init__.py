"""What tuning found: the expected best of n trials, the options that were chosen, scores before and after."""
