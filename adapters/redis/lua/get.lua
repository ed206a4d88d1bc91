-- ARGV: ids of records.
return records_of({ unpack(ARGV, 2) })
