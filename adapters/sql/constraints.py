from domain.errors import DomainError, EmailTaken, IdTaken, UsernameTaken, UserNotFound


def conflict(constraint: str) -> DomainError | None:
    """Tell what it means that a constraint of `adapters.sql.tables` refused a write; None for an unknown one."""
    match constraint:
        case "uq_users_email_key":
            return EmailTaken()
        case "uq_users_username_key":
            return UsernameTaken()
        case "pk":
            return IdTaken()
        case "fk":  # all of them point to users
            return UserNotFound()
    return None
