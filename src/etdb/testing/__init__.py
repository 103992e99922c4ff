"""Fakes that keep the contracts of the real parts; nothing here is used by them."""
