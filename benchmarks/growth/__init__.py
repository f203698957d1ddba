"""Parts of ``benchmarks/backbone_growth.py``: measurements in new processes, and their figure."""
