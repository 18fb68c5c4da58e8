"""Device profiles: models, loading, compilation."""
