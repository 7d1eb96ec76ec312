"""What a run means over time. Nothing here knows Airflow, a socket or a clock."""
