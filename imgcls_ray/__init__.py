"""Ray-distributed hyperparameter search for image classification. Python users import `imgcls_ray.api`."""

__version__ = "0.1.0"
