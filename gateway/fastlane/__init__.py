"""The fast lane: hits answered from the connection's own `data_received`, without a parser, a task or a wait."""
