"""Many generations in one task: what is asked for, read and checked as a whole before anything is sent."""
