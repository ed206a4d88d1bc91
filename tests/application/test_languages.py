import pytest

from application.languages import Language, negotiate_language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, Language.ENGLISH),
        ("", Language.ENGLISH),
        ("de", Language.GERMAN),
        ("de-AT, en;q=0.5", Language.GERMAN),
        ("DE", Language.GERMAN),
        ("en, de", Language.ENGLISH),
        ("de;q=0.4, en;q=0.5", Language.ENGLISH),
        ("fr, de;q=0.3", Language.GERMAN),
        ("fr, *;q=0.5", Language.ENGLISH),
        ("*, de;q=0.5", Language.ENGLISH),
        ("fr", Language.ENGLISH),
        ("de;q=0", Language.ENGLISH),
        ("de;q=nan", Language.ENGLISH),
        ("de;q=2", Language.ENGLISH),
        ("de;x=1", Language.ENGLISH),
        (";;;,,,=", Language.ENGLISH),
        ("deutsch", Language.ENGLISH),
    ],
)
def test_a_client_is_addressed_in_the_language_it_prefers_of_those_there_are(
    header: str | None, language: Language
) -> None:
    assert negotiate_language(header) is language
