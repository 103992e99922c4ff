"""What the daemons before us answered, out of our index.

`oipd.py` is what oipd's clients ask for and `librarian.py` what the original
library's ask for; `query_string.py` is the query language of the first. Shapes
and names of fields are theirs: nothing else of the index knows them.
"""
