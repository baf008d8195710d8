"""Programs as somebody who never heard of us writes them, after the examples of the libraries they use."""
