"""What is said: records, their wire form, signatures, parts and rules. Pure."""
