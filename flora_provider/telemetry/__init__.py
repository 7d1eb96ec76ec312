"""What a deployment can observe of runs: metrics, spans (OpenTelemetry) and lineage (OpenLineage)."""
