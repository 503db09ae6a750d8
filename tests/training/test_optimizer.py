import numpy as np

from imgcls_ray.config import TrialSettings
from imgcls_ray.training.optimizer import learning_rates


def test_cosine_falls_to_zero_and_constant_stays() -> None:
    cosine = learning_rates(TrialSettings(learning_rate=0.1, schedule="cosine"), np.arange(11), 10)
    assert cosine[0] == np.float32(0.1)
    assert cosine[5] == np.float32(0.05)
    assert abs(cosine[10]) < 1e-8
    assert (np.diff(cosine) < 0).all()
    constant = learning_rates(TrialSettings(learning_rate=0.1, schedule="constant"), np.arange(11), 10)
    assert (constant == np.float32(0.1)).all()
