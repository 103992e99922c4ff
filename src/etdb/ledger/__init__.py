"""Who said it and when: blocks, transactions and the chains that hold them."""
