"""How far a run is, on the terminal, while it goes on."""
