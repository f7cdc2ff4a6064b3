"""The container images that nodes run from: which there are, which the engine has, and how ours are built.

``choose`` gives a node its image, ``references`` says what the engine has, ``digest`` pins an image down for the record.
"""

from harness.images.catalogue import IMAGES, Image, choose
from harness.images.engine import connect, digest, references

__all__ = ["IMAGES", "Image", "choose", "connect", "digest", "references"]
