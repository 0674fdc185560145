"""What is installed here, and whether it works: packages, devices, wheels."""
