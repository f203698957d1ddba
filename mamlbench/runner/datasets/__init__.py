"""What is known of a data set: whether it is there, how to open it, whether its files are intact."""
