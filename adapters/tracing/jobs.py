from typing import Any

from opentelemetry.trace import SpanKind, StatusCode, Tracer

from adapters.tracing.spans import span_of
from application.jobs.runner import JobRunner, Outcome
from domain.jobs import Job


class TracedJobRunner(JobRunner):
    """Records a span for each attempt of a job, as the root of a trace."""

    def __init__(self, *arguments: Any, tracer: Tracer, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._tracer = tracer

    async def attempt(self, job: Job) -> Outcome:
        with span_of(self._tracer, f"job {job.kind}", SpanKind.CONSUMER, {"userport.job.kind": job.kind}) as span:
            outcome = await super().attempt(job)
            if outcome.following is not None:
                span.set_attribute("error.type", "failed" if outcome.following.failed else "retried")
                span.set_status(StatusCode.ERROR)
            return outcome
