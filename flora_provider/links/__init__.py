"""Links from Airflow's task page to FLORA."""
