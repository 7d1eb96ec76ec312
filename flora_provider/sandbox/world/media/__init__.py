"""What a file holds: pictures, sounds and videos."""
