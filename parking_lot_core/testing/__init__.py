"""Tools that examine a scheduler, ours or anybody's: a slow model, the invariants by name, worlds to try them in."""
