"""Who is let in, and how much of them: API keys, the rate limit, the size of bodies."""
