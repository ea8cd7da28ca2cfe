"""One file per verb: wiring between the rooms, no mathematics."""
