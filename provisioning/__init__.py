"""Getting a unit onto the network and claimed."""
