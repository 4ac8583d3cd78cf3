"""The version, alone in its module so that the transport and the build can read it without importing the package."""

__version__ = "0.1.0"
