"""The places where runs execute: their interface and one module for each kind. Runs in the streamer's process."""
