"""What actions do: one small function for each that Pillow or the standard library can carry out."""
