"""A run as text: on a terminal, in a pipe, as JSON. Runs in a viewer's process; opens no connection."""
