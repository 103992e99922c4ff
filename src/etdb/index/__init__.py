"""The index: what the ledgers say, as rows that can be searched and rebuilt."""
