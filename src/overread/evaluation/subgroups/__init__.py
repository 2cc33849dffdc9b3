"""Analyses of subgroups: AUCs and rates of each group, and the gaps between groups."""
