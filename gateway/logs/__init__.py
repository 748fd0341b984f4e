"""The process's log: one line per event on standard error, written by a thread that nobody waits for."""

from gateway.logs.logs import Logs as Logs
