"""Kill -9 and power cuts at every write: of every kind of step, of whole scenarios, and of real processes."""
