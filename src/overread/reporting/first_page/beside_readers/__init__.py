"""First pages of models beside readers, where the sensitivity at the readers' specificity is not compared."""
