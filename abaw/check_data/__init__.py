"""Whether the parts of Aff-Wild2 on disk fit each other and the published counts."""
