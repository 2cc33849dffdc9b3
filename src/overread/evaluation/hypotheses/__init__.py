"""The hypotheses that are tested by name: pooled training (H1) and reference standards (H2)."""
