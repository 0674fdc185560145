"""The method `debiaspl`."""
