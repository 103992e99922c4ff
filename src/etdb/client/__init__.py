"""Search any node, get files from any source, and believe none of them.

`client` asks a node about records; `sources` are where bytes come from;
`download` fetches what a record lists; `verify` checks a record's text and a
folder on disk. Nothing here needs a node of one's own.
"""
