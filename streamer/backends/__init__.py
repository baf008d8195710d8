"""Where runs execute: one module for each kind of place. Says nothing of which runs, or when."""
