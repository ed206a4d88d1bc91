from adapters.storage_contract.examples import LATER, a_full_user, a_user
from adapters.storage_contract.steps import add, remove, save
from domain.storage import Storage
from domain.user import Role, User
from domain.values import Name


def an_admin() -> User:
    return a_user().change(now=LATER, role=Role.ADMIN)


class AdminCases:
    """The active admins are the users who currently have the role and are active."""

    async def test_active_admins_are_neither_members_nor_inactive(self, storage: Storage) -> None:
        first, second = an_admin(), an_admin()
        inactive_member = a_user().change(now=LATER, active=False)
        await add(storage, a_user(), first, a_full_user(), inactive_member, second)
        assert list(await storage.unit_of_work().users.active_admins(limit=10)) == [first, second]

    async def test_no_more_admins_are_read_than_asked_for_and_they_are_the_first(self, storage: Storage) -> None:
        admins = [an_admin() for _ in range(5)]
        await add(storage, *reversed(admins))
        users = storage.unit_of_work().users
        assert list(await users.active_admins(limit=2)) == admins[:2]
        assert list(await users.active_admins(limit=5)) == admins

    async def test_a_storage_without_users_has_no_admins(self, storage: Storage) -> None:
        assert list(await storage.unit_of_work().users.active_admins(limit=10)) == []

    async def test_a_member_who_becomes_an_admin_is_among_them(self, storage: Storage) -> None:
        member = a_user()
        await add(storage, member)
        admin = member.change(now=LATER, role=Role.ADMIN)
        await save(storage, admin)
        assert list(await storage.unit_of_work().users.active_admins(limit=10)) == [admin]

    async def test_an_admin_is_not_among_them_once_demoted_or_disabled_or_removed(self, storage: Storage) -> None:
        demoted, disabled, removed, kept = (an_admin() for _ in range(4))
        await add(storage, demoted, disabled, removed, kept)
        await save(storage, demoted.change(now=LATER, role=Role.MEMBER), disabled.change(now=LATER, active=False))
        await remove(storage, removed)
        assert list(await storage.unit_of_work().users.active_admins(limit=10)) == [kept]

    async def test_an_admin_who_is_enabled_again_is_among_them(self, storage: Storage) -> None:
        admin = a_full_user()  # is not active
        await add(storage, admin)
        enabled = admin.change(now=LATER, active=True)
        await save(storage, enabled)
        assert list(await storage.unit_of_work().users.active_admins(limit=10)) == [enabled]

    async def test_an_admin_comes_back_as_last_saved(self, storage: Storage) -> None:
        admin = an_admin()
        await add(storage, admin)
        renamed = admin.change(now=LATER, name=Name("Renamed"))
        await save(storage, renamed)
        assert list(await storage.unit_of_work().users.active_admins(limit=10)) == [renamed]
