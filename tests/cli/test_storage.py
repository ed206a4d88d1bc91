from tests.cli.commands import userport


def test_ping_says_what_to_run_until_the_storage_is_prepared(unprepared: str) -> None:
    before = userport("storage", "ping", "--storage", unprepared)
    assert before.exit_code == 1
    assert "userport storage prepare" in before.errors
    for _ in range(2):  # it is safe to repeat
        assert userport("storage", "prepare", USERPORT_STORAGE=unprepared).exit_code == 0
    assert userport("storage", "ping", "--storage", unprepared).exit_code == 0


def test_memory_is_always_prepared() -> None:
    assert userport("storage", "ping", "--storage", "memory://").exit_code == 0
