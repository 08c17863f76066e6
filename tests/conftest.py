"""Properties are checked on busy machines too: no example fails for being slow."""

from hypothesis import settings

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
