"""A lab's own records: folders, headers and the facts beside them."""
