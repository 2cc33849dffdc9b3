"""What is written beside the page: tables for Word, texts to paste, figures, model cards."""
