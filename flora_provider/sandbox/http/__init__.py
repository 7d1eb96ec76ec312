"""The sandbox's HTTP: reading requests, pages, responses and how they are delivered."""
