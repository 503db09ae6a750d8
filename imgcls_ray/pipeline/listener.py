"""What the main job tells while it runs: its steps, and all of the study."""

from imgcls_ray.search.listener import StudyListener


class RunListener(StudyListener):
    """Hears of every step of the main job, and of the study in between."""

    def step_started(self, name: str, what: str) -> None:
        """`name` is preprocess, embed, search, finetune or evaluate; `what` says in words what it works on."""

    def step_advanced(self, done: int, total: int) -> None:
        """Of the shards of this step `done` are ready."""

    def step_ended(self, summary: str) -> None:
        """In words, what came of it."""
