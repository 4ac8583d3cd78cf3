"""asyncimport."""
