"""One conversation and its clock: from files or live streams to an avatar."""
