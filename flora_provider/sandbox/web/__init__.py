"""The page that shows what is in the sandbox, and turns its switches: plain files, served as they are."""
