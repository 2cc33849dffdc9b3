"""Writing of files and folders: atomic, locked and recorded."""
