"""The verbs of the command line, one module a group; each calls `app` and shows what comes back."""
