"""Sessions of onnxruntime."""

from __future__ import annotations

import pytest

from abaw.core.onnx_session import session_options


@pytest.mark.parametrize("spinning", [False, True])
def test_threads_wait_in_a_loop_only_on_request(spinning: bool) -> None:
    options = session_options(2, spinning)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == str(int(spinning))
    assert options.intra_op_num_threads == 2
    assert session_options(None).get_session_config_entry("session.intra_op.allow_spinning") == "0"
