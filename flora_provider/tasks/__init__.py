"""What operators, sensors and triggers share. Cheap to import: what talks HTTP is loaded when a task runs."""
