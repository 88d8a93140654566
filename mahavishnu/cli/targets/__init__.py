"""Commands about targets, and engines to try things out."""
