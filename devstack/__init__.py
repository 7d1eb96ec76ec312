"""A local Airflow beside a sandbox, for the demo, the end-to-end tests and the benchmarks."""
