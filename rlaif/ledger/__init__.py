"""The ledger: one SQLite file that holds all that was asked, told, decided and trained.

Readers import :mod:`rlaif.ledger.reader` (standard library only, read-only connections); the
process that runs a cycle imports :mod:`rlaif.ledger.writer`, which brings sqlite-utils with it.
"""
