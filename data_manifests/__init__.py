"""The facts of the challenge as text: classes, editions, published counts, data-set descriptors."""
