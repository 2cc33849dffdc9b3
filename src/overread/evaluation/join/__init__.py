"""The join of scores, reads and labels: matching, reference standards and the account of exclusions."""
