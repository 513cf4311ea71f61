"""Several real host processes on one database, and what happens to them."""
