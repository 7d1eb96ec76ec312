"""What many of the examples hold."""

META = {"next_cursor": None, "total_estimate": 1}
PLACE = {"workspace_id": "ws_1", "project_id": "prj_1"}
