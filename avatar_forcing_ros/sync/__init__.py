"""Stamps and queues: stamped media on one clock."""
