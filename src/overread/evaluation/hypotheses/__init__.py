"""Prespecified hypotheses: pooled training (H1) and reference standards (H2)."""
