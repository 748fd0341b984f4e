"""The operators' door: metrics, health, and an API for keys and corrections, on a port of its own."""

from gateway.admin.server import Admin as Admin
