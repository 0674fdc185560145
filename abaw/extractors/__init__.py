"""Extractors: frozen networks that turn face crops into features, whoever trained them."""
