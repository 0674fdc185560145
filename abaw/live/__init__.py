"""Video as it comes, from a camera, a stream or a browser: people and expressions of the newest frame."""
