"""The application: the command line and one module a stage, each a typed config and run(config)."""
