"""The method `dta_snl`."""
