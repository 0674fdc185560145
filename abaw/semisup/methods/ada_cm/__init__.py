"""The method `ada_cm`."""
