"""The ledger: balances in memory as the authority, a journal as the truth on disk, a SQLite book made from it."""
