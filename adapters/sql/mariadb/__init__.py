"""MariaDB, or MySQL, by asyncmy."""
