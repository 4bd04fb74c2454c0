"""The tests run as the service does: patched before anything else is imported."""

from gevent import monkey

monkey.patch_all()
