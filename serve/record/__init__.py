"""What is remembered of requests: ids, the log, figures."""
