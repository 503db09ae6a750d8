"""Search spaces, sampler, scheduler, trainables and the study."""
