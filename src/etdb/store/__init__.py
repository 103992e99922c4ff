"""The files: addressed by content, read where they lie, never copied.

`unixfs`, `tree` and `directory` say what the bytes of a CID are; `verified`
walks content from any source; `inplace` is the store over a lab's own disks.
Nothing here knows of records or ledgers.
"""
