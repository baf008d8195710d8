"""Values and texts as they may be kept and shown: cut, as JSON, without secrets. No I/O."""
