"""Device profiles: what a YAML file may say, loading it, and the shape of its documents."""

from gateway.profiles.load import Profile, ProfileSet, load_profiles

__all__ = ["Profile", "ProfileSet", "load_profiles"]
