"""Users' code: finding it, listing it, checking its parameters, and a project to start from."""
