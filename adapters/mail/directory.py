import asyncio
from email.headerregistry import Address
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from adapters.mail.messages import build_message
from adapters.mail.rendering import MailRenderer
from application.mail.errors import MailBlocked
from application.mail.message import Mail


class DirectorySender:
    """Writes each mail to a file of mode 600, for development. A repeated delivery replaces its file."""

    def __init__(self, directory: Path, sender: Address, renderer: MailRenderer) -> None:
        """Create a sender. Raise `ValueError` if the directory does not exist and cannot be created."""
        if not directory.is_dir() and (directory.exists() or not directory.absolute().parent.is_dir()):
            raise ValueError(f"{directory} is not a directory")
        self._directory = directory
        self._sender = sender
        self._renderer = renderer

    async def send(self, mail: Mail) -> str:
        rendering = self._renderer.render(mail.template, mail.language, mail.context)
        message = build_message(mail, self._sender, rendering)
        digest = sha256(mail.message_id.encode()).hexdigest()[:16]
        file = self._directory / f"{mail.date:%Y%m%dT%H%M%S}-{mail.template}-{digest}.eml"
        try:
            await asyncio.to_thread(_write, file, message)
        except OSError as error:
            raise MailBlocked(f"{self._directory}: {error.strerror}") from None
        return f"written to {file}"

    async def close(self) -> None:
        pass


def _write(file: Path, content: bytes) -> None:
    """Write a file of mode 600 atomically."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    with NamedTemporaryFile(dir=file.parent, prefix=".", delete=False) as temporary:
        path = Path(temporary.name)
        try:
            temporary.write(content)
            temporary.flush()
            path.replace(file)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
