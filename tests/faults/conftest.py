"""The ledger's assertions say what differs, as those of tests do."""

import pytest

pytest.register_assert_rewrite("tests.faults.ledger")
