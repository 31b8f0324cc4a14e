"""One revision a schema; a revision that was published is never changed."""
