"""The matrix of models and data sets that ``mamlbench transfer`` shows."""
