"""etdb: publish, find and fetch electron tomography data."""
