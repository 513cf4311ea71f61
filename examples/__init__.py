"""Examples: programs and data that show the library at work. They are not part of the distribution."""
