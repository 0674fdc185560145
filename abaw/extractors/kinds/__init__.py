"""One module per kind of extractor, named as the prefix on the command line: `onnx:FILE` is opened by `onnx.py`."""
