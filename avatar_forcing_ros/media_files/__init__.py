"""Audio, images, video and tables from files and to files."""
