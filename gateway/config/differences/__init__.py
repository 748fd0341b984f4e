"""What another config changes, in sentences."""

from gateway.config.differences.told import differences as differences
