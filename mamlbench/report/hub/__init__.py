"""Records and models to and from the Hugging Face Hub, or a folder laid out in the same way."""
