import pytest

from adapters.redis.config import RedisConfig
from adapters.redis.storage import RedisStorage
from adapters.storage_urls import Address


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis:///0",
        "redis://host:port/0",
        "redis://host:70000/0",
        "redis://host/name",
        "redis://host/0/1",
        "redis://one,two/0",
        "redis+cluster://one,/0",
        "redis+cluster://one:7000,secret",
        "redis+sentinel://[::1],secret:26379/name/0",
        "redis+cluster://host/1",
        "redis+cluster://secret:7000,secret:7000",
        "redis+sentinel://secret",
        "redis+sentinel://secret/",
        "redis+sentinel://secret/%73ecret/0",
        "redis+sentinel://one:26379,redis://secret/name/0",
        "redis+sentinel://secret:26379,secret:26379/name/0",
        "redis+sentinel://[::1]:26379,[0:0:0:0:0:0:0:1]:26379/name/0",
        "redis+sentinel://::1/name/0",
        "redis+sentinel://host/name/secret",
        "redis+sentinel://host/name/0?sentinel=secret",
        "redis://host/0?replicas=secret",
        "redis://host/0?secret=value",
        "redis://host/0?service",
        "redis://host/0?service=",
        "redis://host/0?service={secret}",
        "redis://host/0?ssl_ca=/value.pem",
        "redis://user:secret?@host/0",
        "redis://user:secret#@host/0",
        "redis://[secret/0",
    ],
)
def test_a_url_that_is_wrong_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refusal:
        RedisStorage.open(url)
    message = str(refusal.value).replace("option=value", "")
    assert not any(part in message for part in ("secret", "value", "70000"))


def test_a_url_names_hosts_a_user_and_a_service() -> None:
    config = RedisConfig.parse("rediss+cluster://us%40er:p%3A%2F%3F@one:7000,[::1]:7001?service=staff&ssl_ca=/ca.pem")
    assert config == RedisConfig(
        addresses=(Address("one", 7000), Address("::1", 7001)),
        is_cluster=True,
        master_name=None,
        uses_tls=True,
        ssl_ca="/ca.pem",
        username="us@er",
        password="p:/?",
        database=0,
        service="staff",
        replicas=0,
    )
    assert "p:/?" not in repr(config)
    assert config.key("users") == "{staff}:users"


def test_what_a_url_leaves_open_is_what_redis_takes_for_granted() -> None:
    config = RedisConfig.parse("redis://host")
    assert (config.addresses, config.database, config.service) == ((Address("host", 6379),), 0, "userport")
    assert (config.username, config.password, config.uses_tls, config.is_cluster) == (None, None, False, False)
    assert RedisConfig.parse("redis://:secret@host/3").password == "secret"
    assert RedisConfig.parse("redis://host/3").database == 3


def test_a_url_names_sentinels_and_the_master_that_they_watch() -> None:
    config = RedisConfig.parse("rediss+sentinel://user:secret@one:7000,[::1]:26379/our-users/3?replicas=2")
    assert config.addresses == (Address("one", 7000), Address("::1", 26379))
    assert (config.master_name, config.database, config.replicas) == ("our-users", 3, 2)
    assert config.uses_tls
    without_port = RedisConfig.parse("redis+sentinel://one/our-users")
    assert (without_port.addresses, without_port.database) == ((Address("one", 26379),), 0)
