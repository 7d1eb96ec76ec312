"""What many of the examples hold."""

META = {"next_cursor": None, "total_estimate": 1}
SCOPE = {"workspace_id": "ws_1", "project_id": "prj_1"}
