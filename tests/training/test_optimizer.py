import pytest

from imgcls_ray.config import TrialSettings
from imgcls_ray.models.network import build_head
from imgcls_ray.training.optimizer import build_groups


@pytest.mark.parametrize("name", ["sgd", "rmsprop"])
def test_momentum_is_what_the_settings_say(name: str) -> None:
    settings = TrialSettings(optimizer=name, momentum=0.5)  # type: ignore[arg-type]
    (group,) = build_groups(settings, build_head(settings, 4, 2))
    assert group.optimizer.momentum == 0.5
