"""The search spaces that come with the program: YAML only. This file makes the folder travel inside the wheel."""
