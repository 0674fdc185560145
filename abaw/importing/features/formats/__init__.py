"""One file per format: `open_file(path, options)` returns a FeatureFile (see `abaw.importing.features.rows`)."""
