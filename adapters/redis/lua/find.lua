-- ARGV: unique values, each with its type and its field.
return records_of(values(UNIQUE, { unpack(ARGV, 2) }))
