"""Models: loading, decoding, embedding, and the heads that training adds."""
