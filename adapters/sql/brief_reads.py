from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select

from adapters.sql.connections import Connections, Reader
from adapters.sql.driver_statements import DriverQuery, Row
from domain.errors import DomainError


class BriefReads(Reader):
    """Reads of few rows, by the driver itself: SQLAlchemy's way there and back takes longer than such a read does.

    What fails on a connection is read again by patient ones, which wait for locks and know what a failure means.
    """

    def __init__(self, patient: Connections) -> None:
        self.patient: Final = patient
        self._queries: Final[dict[Select[Any], DriverQuery]] = {}

    async def read(self, statement: Select[Any], parameters: Mapping[str, Any] | None) -> Sequence[Row]:
        query = self._queries.get(statement)
        if query is None:
            query = self._queries[statement] = DriverQuery(statement, self.patient.engine.dialect)
        text, arguments = query.text_and_arguments(parameters or {})
        try:
            rows = await self._fetch(text, arguments)
        except DomainError:
            raise
        except Exception:  # noqa: BLE001 - the patient ones meet it as well, or do without
            return await self.patient.read(statement, parameters)
        return query.rows(rows)

    @abstractmethod
    async def _fetch(self, text: str, arguments: Sequence[object]) -> Iterable[Iterable[Any]]: ...
