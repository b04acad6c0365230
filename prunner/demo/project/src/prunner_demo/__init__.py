"""Four kinds of models, cross-validated on handwritten digits."""

__version__ = "0.1"
