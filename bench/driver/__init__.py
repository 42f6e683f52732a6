"""The parts of bench/run, which begins in main.py."""
