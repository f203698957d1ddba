"""Built-in plugins, registered by entry points and checked by the same contracts as any other plugin."""
