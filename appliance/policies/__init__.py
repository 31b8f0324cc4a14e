"""Policies of a site: proposed, compared, tried on past audits, approved."""
