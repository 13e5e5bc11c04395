"""Sound, pictures, video and tables from files and to files."""
