"""The forms of password hashes that can be checked: userport's own, and those that other systems have left."""
