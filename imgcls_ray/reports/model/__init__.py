"""The page of a model: how good it is on labelled pictures, where it fails, and what it looks at."""
