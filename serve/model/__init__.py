"""The model that answers: loading, following, predicting, explaining."""
