"""What the sandbox knows: clock, runs, assets, catalog and media files."""
