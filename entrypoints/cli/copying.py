"""Copy all records from one storage to another."""

import asyncio

from application.transfer.storage_copy import CopyFailed, StorageCopy
from entrypoints.cli.errors import CommandFailed, format_error
from entrypoints.cli.progress import users_bar
from entrypoints.cli.session import open_storage
from entrypoints.environment import SettingsError
from entrypoints.settings import Settings
from entrypoints.storage_by_url import storage_plugin


async def copy(source: Settings, target: Settings) -> StorageCopy:
    """Copy, then verify. Raise `CommandFailed` with the progress so far and the next step."""
    for flag, settings in (("--from", source), ("--to", target)):
        if not storage_plugin(settings.storage).shared:
            raise SettingsError(f"{flag} names a storage that exists within one process only")
    if source.storage == target.storage:
        raise SettingsError("--from and --to name the same storage")
    async with open_storage(source) as source_storage, open_storage(target) as target_storage:
        await source_storage.ping()
        await target_storage.prepare()
        made = StorageCopy(source_storage, target_storage)
        total = await source_storage.unit_of_work().users.count()
        try:
            with users_bar("copying", total) as advance:
                await made.run(advance)
            with users_bar("verifying", total) as advance:
                await made.verify(advance)
        except CopyFailed as error:
            raise CommandFailed(str(error)) from error
        except (Exception, asyncio.CancelledError) as error:
            reason, exit_code = format_error(
                KeyboardInterrupt() if isinstance(error, asyncio.CancelledError) else error
            )
            far = f"stopped after {made.read}; run the same command again to go on"
            raise CommandFailed(f"{reason.removesuffix('.')} - {far}", exit_code) from error
    return made
