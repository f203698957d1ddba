"""Parts of benchmarks/fuzz_readers.py."""
