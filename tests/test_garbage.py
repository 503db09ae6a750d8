import gc

import pytest

from imgcls_ray.garbage import uncollected


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_before_also_after_an_error(enabled):
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(ValueError, match="told"), uncollected():
            assert not gc.isenabled()
            raise ValueError("told")
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
