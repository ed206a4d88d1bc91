"""Mails are files that only their owner can read."""

import asyncio
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from application.mail.errors import MailBlocked
from application.mail.message import Template
from entrypoints.environment import SettingsError
from tests.mail.mails import VALUES, a_mail, a_sender


def files_in(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


async def test_each_mail_is_one_file_that_its_owner_alone_can_read(tmp_path: Path) -> None:
    directory = tmp_path / "mail"
    sender = a_sender(f"file:{directory}")
    answers = [await sender.send(a_mail(template, message_id=template)) for template in Template]
    await sender.close()
    files = files_in(directory)
    assert len(files) == len(Template)
    assert {f"written to {file}" for file in files} == set(answers)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert directory.stat().st_mode & 0o777 == 0o700
    (file,) = directory.glob("20261120T203600-verify-email-*.eml")
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert message["To"] == "ann@example.com"
    assert VALUES["link"] in file.read_text()


async def test_a_mail_that_is_sent_again_is_the_same_file(tmp_path: Path) -> None:
    sender = a_sender(f"file:{tmp_path}")
    answers = await asyncio.gather(*(sender.send(a_mail()) for _ in range(10)))
    assert len(set(answers)) == 1
    assert {f"written to {file}" for file in files_in(tmp_path)} == set(answers)


async def test_a_directory_that_cannot_be_written_to_is_tried_again_later(tmp_path: Path) -> None:
    directory = tmp_path / "mail"
    sender = a_sender(f"file:{directory}")
    directory.write_text("not a directory")
    with pytest.raises(MailBlocked, match=r"mail: File exists$"):
        await sender.send(a_mail())
    directory.unlink()
    await sender.send(a_mail())


@pytest.mark.parametrize("name", ["file", "nothing/mail"])
def test_a_path_that_is_not_a_directory_is_reported_at_the_start(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"^USERPORT_MAIL is wrong: .* is not a directory$"):
        a_sender(f"file:{tmp_path / name}")
