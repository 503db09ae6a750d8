"""The page of a study: what was searched, what was found, how sure that is."""
