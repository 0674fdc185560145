"""Applying one function to many items: in this process, or in local worker processes, with one interface."""
