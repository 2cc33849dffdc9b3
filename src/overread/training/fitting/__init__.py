"""The training loop and all that it needs: examples, augmentation, loss, checkpoints, tuning."""
