"""The bundled small world: a help desk with a grammar, an oracle and three small models."""
