"""Who said it and when: ordered, permanent lists of texts."""
