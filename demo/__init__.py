"""A real Airflow and a sandboxed FLORA on this machine, for `make demo`, `make ui` and the end-to-end tests."""
