"""ReelBench proves whether a video-analysis system really got faster, and did not get worse."""

__version__ = "0.1.0"
