"""Tests of estimates in the streamer."""
