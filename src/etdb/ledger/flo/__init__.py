"""FLO: its transactions and blocks, and the embedded chain built of them."""
