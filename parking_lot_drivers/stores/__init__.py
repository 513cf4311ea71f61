"""Queues and mailboxes. Import the one you need: ``memory`` costs nothing, ``sqlite`` needs SQLAlchemy."""
