"""Results and captures that wait for the fleet: what may be kept, and the file that keeps it."""
