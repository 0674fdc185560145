"""Features that other tools wrote -> features stores, and features stores -> files for other tools."""
