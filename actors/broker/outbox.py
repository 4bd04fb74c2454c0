"""What is to be published and not yet confirmed, in its order.

A plain object that outlives the actor that publishes, and its connections.
"""

from __future__ import annotations

import secrets


class Outbox:
    """publisher: names this process in what it publishes; random if not given."""

    def __init__(self, publisher: str = "") -> None:
        self.publisher = publisher or secrets.token_hex(8)
