"""Broker connections: one contract, an actor for each kind of broker."""
