from flora_provider.sandbox.world.webhooks import sign_webhook


def test_the_contracts_test_vector():
    body = (
        b'{"id":"whd_abc123","type":"run.completed","api_version":"2026-06-11","created_at":1750000000000,'
        b'"data":{"run_id":"run_xyz789","run_type":"generation","workspace_id":"ws_abc123","status":"completed"}}'
    )
    signature = "bf8768671619fb82b21910bb110262993109af977ef7f3a78e78ba52eca5a41b"
    assert sign_webhook("whsec_sandbox_secret", 1_750_000_000, body) == f"t=1750000000,v1={signature}"
