"""Known secrets in what a run reports: replaced in texts, while words of ours stay."""

from __future__ import annotations

from streamer.model.events import Completed, ErrorInfo, Event, ItemFailed, Logged, PhaseChanged, Progressed
from streamer.producer.redaction import Redaction
from streamer.producer.run import Run
from tests.producer.recorder import Recorder

SECRETS = Redaction(
    ["hunter2", 'with "quotes"\tand é', "abc", "error", "first line of it\nsecond line of it\n"]
)


def test_every_text_of_an_event_is_free_of_them() -> None:
    error = ErrorInfo("E", "no hunter2", "trace hunter2")
    assert Logged(message="a … b", fields={"…": ["…"]}) == SECRETS(
        Logged(message="a hunter2 b", fields={"hunter2": ["hunter2"]})
    )
    assert ItemFailed(item="…", error=ErrorInfo("E", "no …", "trace …")) == SECRETS(
        ItemFailed(item="hunter2", error=error)
    )
    assert Completed(result={"url": "db://…@x"}) == SECRETS(Completed(result={"url": "db://hunter2@x"}))
    assert Progressed(message="…") == SECRETS(Progressed(message="hunter2"))


def test_they_are_found_as_json_and_urls_and_single_lines_write_them() -> None:
    for text in ('with "quotes"\tand é', "with%20%22quotes%22%09and%20%C3%A9", "second line of it"):
        assert Logged(message="a …") == SECRETS(Logged(message=f"a {text}"))


def test_words_of_ours_and_short_secrets_stay() -> None:
    event = Logged(type="error", level="ERROR", message="an abc")
    assert event == SECRETS(event)
    assert Logged(type="error", level="ERROR", message="an …") == SECRETS(
        Logged(type="error", level="ERROR", message="an error")
    )
    phase: Event = PhaseChanged(phase="error", phase_status="failed", message="…")
    assert phase == SECRETS(PhaseChanged(phase="error", phase_status="failed", message="error"))


def test_a_run_hides_what_it_is_told(run: Run, told: Recorder) -> None:
    run.hide(["hunter2"])
    run.log.warning("connecting with %s", "hunter2")
    run.complete({"password": "hunter2"})
    assert ["connecting with …"] == [event.message for event in told.of(Logged)]
    assert [{"password": "…"}] == [event.result for event in told.of(Completed)]
