"""What every analysis is given: score matrix, populations, thresholds, patient draws and AUC terms."""
