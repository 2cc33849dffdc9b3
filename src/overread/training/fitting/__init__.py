"""The training loop: examples, augmentation, loss, checkpoints and tuning."""
