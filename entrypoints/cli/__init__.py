"""The command line: `userport …`."""
