"""How facts travel between processes: frames, answers, spool files. Runs in every process; opens no connection."""
