"""What waiting for FLORA costs, measured beside what a user would pick instead. `make bench` runs all of it."""
