"""Everything that parses, given what nobody meant to write."""
