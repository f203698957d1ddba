"""What a model said of a user's own images: CSV, sentences, contact sheet."""
