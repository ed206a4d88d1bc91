"""`userport jobs …`"""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from application.timestamps import timestamp
from domain.errors import InvalidValue
from domain.jobs import Job
from domain.values import JobId
from entrypoints.cli.errors import CommandFailed, ExitCode
from entrypoints.cli.session import StorageOption, open_container, run_async

if TYPE_CHECKING:
    from entrypoints.settings import Settings

app = typer.Typer(help="List background jobs, and retry failed ones.")


@app.command("list")
def list_jobs(
    storage: StorageOption = None,
    failed: Annotated[bool, typer.Option("--failed", help="List only jobs that have failed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write a JSON object for each job.")] = False,
) -> None:
    """List jobs in creation order, one per line: id, kind, due time, attempts, and the last error.

    A running job becomes due when its worker counts as dead, up to a minute from now. A failed job is kept for 30 days.
    """
    from entrypoints.settings import load_settings

    settings = load_settings(storage=storage)
    run_async(_list(settings, failed_only=failed, as_json=as_json))


@app.command()
def retry(
    job_ids: Annotated[list[str] | None, typer.Argument(metavar="ID…", help="Ids of jobs that have failed.")] = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Retry all jobs that have failed.")] = False,
    storage: StorageOption = None,
) -> None:
    """Make failed jobs due now."""
    from entrypoints.settings import load_settings

    if bool(job_ids) == all_failed:
        raise CommandFailed("name the jobs, or use --all-failed", ExitCode.WRONG_USAGE)
    settings = load_settings(storage=storage)
    typer.echo(f"{run_async(_retry(settings, job_ids or []))} jobs are due now.")


async def _list(settings: "Settings", *, failed_only: bool, as_json: bool) -> None:
    async with open_container(settings) as container:
        await container.storage().ping()
        async for jobs in container.job_service().batches(failed_only=failed_only):
            for job in jobs:
                typer.echo(_as_json(job) if as_json else _as_text(job))


async def _retry(settings: "Settings", texts: list[str]) -> int:
    job_ids = [_parse(text) for text in texts]
    async with open_container(settings) as container:
        await container.storage().ping()
        service = container.job_service()
        if not job_ids:
            return await service.restart_all()
        restarted = await service.restart(job_ids)
    if unknown := [job_id for job_id in job_ids if job_id not in restarted]:
        raise CommandFailed(f"{len(restarted)} jobs are due now; no failed job has the id {', '.join(unknown)}")
    return len(restarted)


def _parse(text: str) -> JobId:
    try:
        return JobId.parse(text)
    except InvalidValue:
        raise CommandFailed("the id of a job is a UUID", ExitCode.WRONG_USAGE) from None


def _as_text(job: Job) -> str:
    due = "failed" if job.failed else timestamp(job.due_at)
    return f"{job.id}  {job.kind}  {due}  {job.attempts}  {job.last_error or '-'}"


def _as_json(job: Job) -> str:
    fields = {
        "id": job.id,
        "kind": job.kind,
        "due_at": None if job.failed else timestamp(job.due_at),
        "attempts": job.attempts,
        "failed": job.failed,
        "last_error": job.last_error,
    }
    return json.dumps(fields, ensure_ascii=False)
