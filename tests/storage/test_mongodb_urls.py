import pytest

from adapters.mongodb.storage import MongoStorage


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://",
        "mongodb://127.0.0.1",
        "mongodb://127.0.0.1/",
        "mongodb:///userport",
        "mongodb://127.0.0.1:port/userport",
        "mongodb://127.0.0.1,127.0.0.1:27017/userport",
        "mongodb://[::1],[0:0:0:0:0:0:0:1]:27017/userport",
        "mongodb://se:cr:et@127.0.0.1/userport",
        "mongodb://se@cret@127.0.0.1/userport",
        "mongodb://127.0.0.1/user port",
        "mongodb://127.0.0.1/userport.secret",
        "mongodb://127.0.0.1/userport?secret=value",
        "mongodb://127.0.0.1/userport?tlsAllowInvalidCertificates=true",
        "mongodb://127.0.0.1/userport?readPreference=secondary",
        "mongodb://127.0.0.1/userport?w=1",
        "mongodb://127.0.0.1/userport?tls=secret",
        "mongodb://127.0.0.1/userport?tls=true&tlsCAFile=/no/secret.pem",
        "mongodb://127.0.0.1/userport?replicaSet",
        "mongodb+srv://127.0.0.1:27017/userport",
        "mongodb+srv://one.secret.example,two.secret.example/userport",
        "no URL at all",
    ],
)
async def test_a_url_that_leaves_something_open_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refusal:
        MongoStorage(url)
    for part in ("secret", "value", "se:cr", "127.0.0.1"):
        assert part not in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://127.0.0.1/userport",
        "mongodb://ann:p%40%3A%2F@one.example:27018,two.example/userport?replicaSet=rs0&authSource=admin",
        "mongodb://[::1]:27017/userport?directConnection=true",
        "mongodb+srv://ann:secret@cluster.example.org/userport?retryWrites=true&w=majority&appName=Cluster",
    ],
)
async def test_a_url_is_opened_without_connecting(url: str) -> None:
    storage = MongoStorage(url)
    assert "secret" not in repr(storage)
    await storage.close()


def test_a_storage_can_be_opened_where_no_event_loop_runs() -> None:
    MongoStorage("mongodb://127.0.0.1/userport")
