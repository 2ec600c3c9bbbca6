from serve.telemetry.metrics import Metrics


def told(metrics: Metrics) -> dict[str, float]:
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_what_happens_is_counted() -> None:
    metrics = Metrics()
    metrics.request("/v1/scan", "POST", 200, 0.02)
    metrics.batch(8, 300, 0.05)
    metrics.queue(5, 150)
    metrics.verdict("loan", "block")
    metrics.cache(True)
    metrics.rejected("queue-full")
    metrics.swap("done")
    metrics.job("done")
    metrics.feedback("kept")
    metrics.texts(3, 1)
    metrics.connections(7)
    found = told(metrics)
    assert found['ruthan_request_seconds_bucket{le="0.025",method="POST",route="/v1/scan",status="200"}'] == 1
    assert found['ruthan_request_seconds_bucket{le="0.01",method="POST",route="/v1/scan",status="200"}'] == 0
    assert (found["ruthan_queue_items"], found["ruthan_queue_tokens"], found["ruthan_connections"]) == (5, 150, 7)
    assert found['ruthan_verdicts_total{action="block",label="loan"}'] == 1
    assert found['ruthan_problems_total{kind="queue-full"}'] == 1
    assert found['ruthan_stored_texts_total{outcome="dropped"}'] == 1


def test_only_the_model_that_answers_is_marked() -> None:
    metrics = Metrics()
    metrics.model("a@1", "p@1")
    metrics.model("b@2", "p@1")
    found = told(metrics)
    assert found['ruthan_model_info{model="a@1",policy="p@1"}'] == 0
    assert found['ruthan_model_info{model="b@2",policy="p@1"}'] == 1


def test_two_services_in_one_process_count_by_themselves() -> None:
    one, other = Metrics(), Metrics()
    one.verdict("loan", "block")
    assert 'ruthan_verdicts_total{action="block",label="loan"}' not in told(other)
