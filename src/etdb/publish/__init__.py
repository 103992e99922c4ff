"""Writing to a ledger so that nothing is lost and nothing is sent twice."""
