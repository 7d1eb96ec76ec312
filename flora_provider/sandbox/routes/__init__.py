"""The sandbox's routes: one handler per endpoint."""
