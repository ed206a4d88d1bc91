"""MariaDB, or MySQL, through asyncmy."""
