"""A talking, listening, reacting avatar head for robots."""

from pkgutil import extend_path

# the generated messages (avatar_forcing_ros.msg) lie elsewhere where this is a source checkout
__path__ = extend_path(__path__, __name__)
