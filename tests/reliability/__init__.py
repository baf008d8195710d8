"""What is promised of a run's life, each by a test against real processes and sockets."""
