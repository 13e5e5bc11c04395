"""One conversation's state, and the next block of motion made from it."""
