"""The pages that people read: what is in a data set, as HTML and as JSON."""
