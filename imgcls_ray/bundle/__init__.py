"""The folder that holds one finished model: written, verified, loaded."""
