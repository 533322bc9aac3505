"""Calibration: how often intervals hold the truth and tests find what is not there, over independent data sets."""
