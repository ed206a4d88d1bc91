"""The clock, ids and domain names of the machine that userport runs on."""
