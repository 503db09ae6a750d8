"""The jobs, from pictures to a registered model: the main one and its steps, fitting, updating, promoting."""
